"""The command line: its commands, their help, and what starts them."""

import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

from rein_seg import cli
from rein_seg.cli import COMMANDS, main
from rein_seg.version import __version__
from tests.cli.calls import call
from tests.paths import REPO
from tests.run.town import draw_town, write_town

# modules of the package that are no commands
SHARED = {'arguments', 'exits', 'own_data', 'pretraining'}
TOOLS = sorted(path.stem for path in (REPO / 'tools').glob('*.py') if path.stem != 'constraints')


def command_of(tool):
    return 'count' if tool == 'count_parameters' else tool.replace('_', '-')


def test_every_module_is_a_command_and_every_command_a_module():
    modules = {module.name for module in pkgutil.iter_modules(cli.__path__)} - SHARED
    assert modules == {name.replace('-', '_') for name in COMMANDS}


def test_overview_has_a_line_for_each_command_and_the_exit_codes(capsys):
    assert main(['--help']) == 0
    out = capsys.readouterr().out
    lines = {line.split()[0]: line for line in out.splitlines() if line.startswith('  ')}
    for name in COMMANDS:
        assert lines[name].endswith('.')
        assert len(lines[name]) <= 100
    for code in ('0', '1', '2', '3', '74', '130', '143'):
        assert code in lines


def test_version(capsys):
    assert main(['--version']) == 0
    assert capsys.readouterr().out == f'rein-seg {__version__}\n'


def test_mistyped_words():
    assert call('trian') == (2, "error: 'trian' is not a command; did you mean 'train'?\n")
    code, err = call('train', 'rein_tiny_miniscapes', '--amp', '--nope')
    assert code == 2
    assert 'rein-seg train: error: unrecognized arguments: --nope' in err
    assert call('--nope')[0] == 2
    assert call()[0] == 2


@pytest.mark.parametrize('name', COMMANDS)
def test_help_describes_every_argument(name):
    command = cli._module(name)
    parser = cli._parser(name, command)
    assert parser.description
    assert [action.dest for action in parser._actions if not action.help] == []
    work_dir = next((a for a in parser._actions if a.dest == 'work_dir'), None)
    if work_dir is not None:
        expected = {
            'train': 'work_dirs/CONFIG_NAME)',
            'test': 'work_dirs/CONFIG_NAME/test)',
            'compare': 'CONFIG_NAME, several configs: the name of their benchmark)',
            'pretrain-tiny': 'work_dirs/pretrain_tiny_BUDGET)',
            'pretrain-tinyclip': 'work_dirs/pretrain_tinyclip_BUDGET)',
        }
        assert work_dir.help.endswith(expected[name])


@pytest.mark.parametrize('words', [['--help'], ['train', '--help'], ['compare', '--help']])
def test_help_loads_no_pytorch_and_comes_at_once(words):
    code = f"""
import sys, time
start = time.perf_counter()
from rein_seg.cli import main
assert main({words!r}) == 0
print([name for name in ('torch', 'mmengine', 'numpy', 'cv2') if name in sys.modules])
print(time.perf_counter() - start)
"""
    best = 99.0
    for _ in range(3):  # others may be at work on this machine
        done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
        *_, loaded, seconds = done.stdout.splitlines()
        assert loaded == '[]'
        best = min(best, float(seconds))
    assert best < 1


def test_the_package_alone_loads_no_pytorch():
    code = 'import rein_seg, sys; print(rein_seg.__version__, "torch" in sys.modules)'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stdout.split() == [__version__, 'False']


def test_tools_are_the_commands():
    assert sorted(map(command_of, TOOLS)) == sorted(set(COMMANDS) - {'init-data', 'report', 'show'})
    for tool in TOOLS:
        lines = (REPO / f'tools/{tool}.py').read_text().splitlines()
        assert lines[-1] == f"    sys.exit(main(['{command_of(tool)}', *sys.argv[1:]]))"
        assert len(lines) < 12


def test_the_real_command_and_its_exit_code(tmp_path):
    """Through the file, the module and the tool; in this process the others are quicker."""
    ways = [['-m', 'rein_seg', 'train'], [str(REPO / 'tools/train.py')]]
    running = [
        subprocess.Popen(
            [sys.executable, *way, 'none.py'],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for way in ways
    ]
    for process in running:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 2, err
        assert err.startswith("error: config 'none.py' does not exist")
        assert len(err.splitlines()) == 1
        assert out == ''


MORE = {
    'test': ['in.pth'],
    'predict': ['in.png', '--out', 'out'],
    'merge': ['in.pth'],
    'convert': ['in.pth', 'out.pth'],
    'class-table': ['out.safetensors'],
    'compare-frames': ['--domain', 'night', '--out', 'out.png'],
}
TOLD = {
    'benchmark-loader': 'rein-seg benchmark-loader: error: unrecognized arguments: none.py',
    'benchmark-service': "error: measuring shared failed: config 'none.py' does not exist",
    'check-data': "error: 'none.py' is neither a benchmark nor a config nor a folder",
    'compare-frames': "error: 'none.py' does not exist: expected an adapter file",
    'init-data': "error: 'none.py' does not exist: give the folder of the images",
    'predict': "error: 'none.py' does not exist: expected an adapter file",
    'pretrain-tiny': 'rein-seg pretrain-tiny: error: unrecognized arguments: none.py',
    'pretrain-tinyclip': 'rein-seg pretrain-tinyclip: error: unrecognized arguments: none.py',
    'report': "error: 'none.py' holds no results.json",
    'show-results': "error: 'none.py' does not exist: give the folder of a finished",
}


@pytest.mark.parametrize('name', COMMANDS)
def test_a_config_that_does_not_exist(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, err = call(name, 'none.py', *MORE.get(name, []))
    assert code == 2
    told = TOLD.get(name, "error: config 'none.py' does not exist")
    assert err.splitlines()[-1].startswith(told)
    assert 'Traceback' not in err
    assert not list(tmp_path.iterdir())


def test_arguments_that_are_no_utf_8_are_refused(tmp_path):
    bad = os.fsdecode(os.fsencode(tmp_path) + b'/\xff')
    for words in (['train', 'none.py', '--work-dir', bad], ['check-data', bad]):
        code, err = call(*words)
        assert code == 2
        assert err.startswith('error: the argument ') and err.isascii()
        assert len(err.splitlines()) == 1


def test_a_report_with_a_name_that_is_no_utf_8(tmp_path):
    draw_town(tmp_path)
    town = os.fsencode(tmp_path) + b'/\xff'
    os.rename(tmp_path / 'town', town)
    config = Path(write_town(tmp_path))
    config.write_text(
        config.read_text().replace(repr(f'{tmp_path}/town'), ascii(os.fsdecode(town)))
    )
    command = [sys.executable, '-m', 'rein_seg', 'check-data', 'town.py', '--out', 'out']
    strict = {**os.environ, 'PYTHONIOENCODING': 'utf-8:strict', 'PYTHONPATH': str(REPO)}
    done = subprocess.run(command, cwd=tmp_path, env=strict, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert 'holds no UTF-8' in done.stdout
    assert 'Traceback' not in done.stderr
