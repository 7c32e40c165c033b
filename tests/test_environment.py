import importlib.metadata
import os
import platform
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


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='glibc is asked')
def test_freed_memory_is_kept_unless_the_environment_says_otherwise():
    """In a process of its own, where it stays."""
    code = """
import resource
from rein_seg.environment import giving_memory_back, keep_freed_memory
def faults():
    bytearray(2**26)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(8):
        bytearray(2**26)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(keep_freed_memory())
print(faults())
with giving_memory_back():
    print(faults())
print(faults())
"""
    found = []
    for extra in ({}, {'MALLOC_ARENA_MAX': '8'}):
        own = {k: v for k, v in os.environ.items() if not k.startswith(('MALLOC_', 'LD_PRELOAD'))}
        done = subprocess.run(
            [sys.executable, '-c', code], env={**own, **extra}, capture_output=True, text=True
        )
        found.append(done.stdout.split())
    (kept, *ours), (left, *theirs) = found
    assert (kept, left) == ('True', 'False')
    assert [int(number) > 1000 for number in ours] == [False, True, False]
    assert [int(number) > 1000 for number in theirs] == [True, True, True]
