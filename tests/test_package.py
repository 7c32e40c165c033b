"""The package as others get it: built, installed without the clone, used from an empty folder."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from importlib.metadata import version as installed_version
from pathlib import Path

import pytest

from rein_seg.encoders.pretrained import SHA256
from rein_seg.version import __version__
from tests.paths import REPO

PARTS = ('rein_seg', 'configs', 'pyproject.toml', 'setup.py', 'README.md', 'LICENSE')
FEW = [
    'train_dataloader.dataset.count=8',
    *(
        f'{use}_dataloader.dataset.datasets.{i}.count=2'
        for use in ('val', 'test')
        for i in range(6)
    ),
]


def run(*command, cwd, code=0):
    """Runs a command without what points to the clone; returns its stdout."""
    aside = ('PYTHONPATH', 'VIRTUAL_ENV')
    environment = {key: value for key, value in os.environ.items() if key not in aside}
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """The wheel, made from the source distribution."""
    folder = tmp_path_factory.mktemp('build')
    source = folder / 'source'
    source.mkdir()
    for part in PARTS:
        if (REPO / part).is_dir():
            pycache = shutil.ignore_patterns('__pycache__')
            shutil.copytree(REPO / part, source / part, symlinks=True, ignore=pycache)
        else:
            shutil.copy(REPO / part, source)
    code = 'import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])'
    run(sys.executable, '-c', code, folder, cwd=source)
    with tarfile.open(folder / f'rein_seg-{__version__}.tar.gz') as archive:
        archive.extractall(folder, filter='data')
    pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check']
    alone = ('--no-deps', '--no-index', '--no-build-isolation')
    run(*pip, 'wheel', *alone, folder / f'rein_seg-{__version__}', '-w', folder, cwd=folder)
    return next(folder.glob('*.whl'))


@pytest.fixture(scope='module')
def installed(wheel, tmp_path_factory):
    """Folder of the programs of an environment with the wheel and the dependencies alone."""
    folder = tmp_path_factory.mktemp('installed')
    venv.create(folder, with_pip=False, symlinks=True)
    bin_folder = folder / 'bin'
    own = next(folder.glob('lib/python*/site-packages'))
    # a folder named in a .pth file is searched, but its own .pth files are not read: so the
    # dependencies are found, an editable install of the clone is not
    places = dict.fromkeys(sysconfig.get_path(kind) for kind in ('purelib', 'platlib'))
    (own / 'dependencies.pth').write_text('\n'.join(places) + '\n')
    pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check', '--python']
    options = ('install', '--quiet', '--no-deps', '--no-index', '--ignore-installed')
    run(*pip, bin_folder / 'python', *options, wheel, cwd=folder)
    return bin_folder


def test_the_wheel_holds_configs_weights_and_templates(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for folder in (REPO / 'configs').rglob('*.py'):
        assert f'rein_seg/configs/{folder.relative_to(REPO / "configs")}' in names
    modules = {str(path.relative_to(REPO)) for path in (REPO / 'rein_seg').rglob('*.py')}
    assert modules <= set(names)
    assert {f'rein_seg/encoders/pretrained/{name}' for name in SHA256} <= set(names)
    templates = {str(path.relative_to(REPO)) for path in (REPO / 'rein_seg').rglob('template/*')}
    assert 'rein_seg/compare/template/body.html' in templates
    assert templates <= set(names)
    tops = {name.partition('/')[0] for name in names}
    assert tops == {'rein_seg', f'rein_seg-{__version__}.dist-info'}


def test_the_wheel_says_what_it_is(wheel):
    archive = zipfile.ZipFile(wheel)
    folder = f'rein_seg-{__version__}.dist-info'
    metadata = archive.read(f'{folder}/METADATA').decode()
    assert 'License-Expression: Apache-2.0' in metadata
    assert 'Development Status :: 4 - Beta' in metadata
    required = [line for line in metadata.splitlines() if line.startswith('Requires-Dist: ')]
    runtime = [line.split(': ')[1] for line in required if 'extra ==' not in line]
    assert not [line for line in runtime if line.startswith(('pytest', 'ruff', 'mkdocs'))]
    builds = [line for line in required if 'opencv' in line]
    assert len(builds) == 1
    assert builds[0].startswith('Requires-Dist: opencv-python<6')
    for name in ('torch', 'timm'):
        assert any(line.startswith(name + '<') for line in runtime), f'{name} has no upper bound'
    entry_points = archive.read(f'{folder}/entry_points.txt').decode()
    assert 'rein-seg = rein_seg.cli:main' in entry_points


def test_the_citation_has_the_version():
    assert f'\nversion: {__version__}\n' in (REPO / 'CITATION.cff').read_text()
    assert installed_version('rein-seg') == __version__


def test_the_clone_is_not_there(installed, tmp_path):
    code = """
import json, sys
from importlib.util import find_spec
import rein_seg
from rein_seg.config.find import CONFIGS
print(json.dumps([rein_seg.__file__, str(CONFIGS), sys.path, find_spec('numpy') is not None]))
"""
    file, configs, path, numpy = json.loads(run(installed / 'python', '-c', code, cwd=tmp_path))
    assert Path(file).is_relative_to(installed.parent)
    assert Path(configs).is_relative_to(installed.parent)
    assert str(REPO) not in path
    assert numpy


@pytest.mark.slow
def test_use_from_an_empty_folder(installed, tmp_path):
    command = installed / 'rein-seg'
    assert run(command, '--version', cwd=tmp_path) == f'rein-seg {__version__}\n'
    assert '--peft' in run(command, 'compare', '--help', cwd=tmp_path)
    few = ['--cfg-options', 'max_iters=30', *FEW]
    run(command, 'train', 'rein_tiny_miniscapes', *few, cwd=tmp_path)
    folder = tmp_path / 'work_dirs/rein_tiny_miniscapes'
    results = json.loads((folder / 'results.json').read_text())
    assert results['iterations'] == 30
    assert len(results['domains']) == 6
    assert (folder / 'adapter.safetensors').is_file()
    assert {path.name for path in tmp_path.iterdir()} == {'data', 'work_dirs'}
    out = run(command, 'check-data', 'miniscapes', '--cfg-options', *FEW, cwd=tmp_path)
    assert 'wrote work_dirs/check_data/miniscapes/check_data.json' in out


@pytest.mark.slow
@pytest.mark.wheel
def test_a_comparison_starts_the_installed_package(installed, tmp_path):
    options = ['--peft', 'Frozen', '--seeds', '0', '--cfg-options', 'max_iters=21', *FEW]
    out = run(installed / 'rein-seg', 'compare', 'rein_tiny_miniscapes', *options, cwd=tmp_path)
    assert '1 variants x 1 seeds in work_dirs/compare/rein_tiny_miniscapes/' in out
    assert '[1/1] Frozen, seed 0: done' in out
    folder = tmp_path / 'work_dirs/compare/rein_tiny_miniscapes'
    assert json.loads((folder / 'comparison.json').read_text())['runs'][0]['state'] == 'finished'


def test_the_public_names_are_names_of_the_package_and_import_late():
    code = (
        'import sys, rein_seg; assert "torch" not in sys.modules; '
        'import rein_seg.apis as apis; '
        'assert all(getattr(rein_seg, name) is getattr(apis, name) for name in rein_seg.PUBLIC); '
        'assert sorted(rein_seg.PUBLIC) == sorted(apis.__all__)'
    )
    subprocess.run([sys.executable, '-c', code], check=True)
