import importlib.metadata
import subprocess
import sys

import pytest

from rein_seg import environment
from rein_seg.errors import UserError


def test_upstream_packages_beside_the_forks_are_refused(monkeypatch):
    def version(name):
        if name in ('mmcv', 'mmsegmentation'):
            return '1.0'
        raise importlib.metadata.PackageNotFoundError(name)

    environment.check_environment()
    monkeypatch.setattr(importlib.metadata, 'version', version)
    with pytest.raises(UserError, match=r"\['mmcv', 'mmsegmentation'\] .*pip uninstall mmcv mmseg"):
        environment.check_environment()


@pytest.fixture
def installed(monkeypatch):
    """Sets the versions of the packages that are installed; the others are not."""
    versions = {}

    def version(name):
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(importlib.metadata, 'version', version)
    return versions


def test_untested_versions_are_named_in_a_line(installed):
    installed.update(TESTED_HERE)
    assert environment.untested() == ''
    installed.update({'torch': '3.0.0a0+git', 'numpy': '2.1.3', 'timm': '1.0.99'})
    assert environment.untested() == (
        'untested versions: torch 3.0.0a0+git (tested: 2.14), numpy 2.1.3 (tested: 2.2 to 2.5); '
        'tested ones: constraints.txt'
    )


TESTED_HERE = {'torch': '2.14.1+cpu', 'numpy': '2.4.0', 'timm': '1.0.31', 'opencv-python': '5.0.0'}


def test_the_line_comes_once(installed, caplog):
    installed['torch'] = '1.0'
    environment._log_once.cache_clear()
    for _ in range(2):
        environment.check_environment()
    assert [record.levelname for record in caplog.records] == ['WARNING']
    assert 'torch 1.0 (tested: 2.14)' in caplog.text
    environment._log_once.cache_clear()


def test_tested_versions_are_the_constraints(repo):
    lines = [line for line in (repo / 'constraints.txt').read_text().splitlines() if line[0] != '#']
    found = {}
    for line in lines:
        name, version = line.partition(';')[0].strip().split('==')
        found.setdefault(name, set()).add(environment._minor(version))
    for name, ends in environment.TESTED.items():
        assert (min(found[name]), max(found[name])) == tuple(map(environment._minor, ends)), name


def test_two_builds_of_opencv_are_named(installed):
    installed['opencv-python'] = '5.0'
    assert environment.several_builds() == ''
    installed['opencv-python-headless'] = '5.0'
    assert environment.several_builds().endswith(
        'pip uninstall -y opencv-python opencv-python-headless && pip install opencv-python'
    )
    assert environment.describe_environment()['packages']['opencv-python-headless'] == '5.0'


def test_opencv_that_does_not_load_ends_in_a_line_with_the_fix(installed, monkeypatch):
    """As where libGL is missing; in a process of its own the command says it."""
    installed['opencv-python'] = '5.0.1'
    monkeypatch.setitem(sys.modules, 'cv2', None)
    with pytest.raises(UserError, match='libgl1.* pip install .*opencv-python-headless==5.0.1$'):
        environment.check_environment()
    code = """
import sys
sys.modules['cv2'] = None
from rein_seg.cli import main
sys.exit(main(['count', 'rein_tiny_miniscapes']))
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith('error: OpenCV cannot be loaded: ')
    assert len(done.stderr.splitlines()) == 1


def test_description_names_versions():
    described = environment.describe_environment()
    assert described['packages']['torch']
    assert described['packages']['rein-seg']


def test_nothing_of_the_stack_was_compiled_here_and_mmdet_is_not_needed():
    for name in ('onedl-mmcv', 'onedl-mmengine', 'onedl-mmsegmentation', 'onedl-mmpretrain'):
        files = importlib.metadata.distribution(name).files or []
        assert files
        assert not [str(file) for file in files if str(file).endswith(('.so', '.pyd'))]
    for name in ('mmdet', 'onedl-mmdetection', 'pycocotools'):
        with pytest.raises(importlib.metadata.PackageNotFoundError):
            importlib.metadata.version(name)
