import importlib.metadata

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
