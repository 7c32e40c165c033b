"""Fixtures that all tests share."""

import os
import sys
from pathlib import Path

import pytest
import torch

os.environ.setdefault('OMP_NUM_THREADS', '2')
import rein_seg.apis  # noqa: E402, F401  registers everything


@pytest.fixture(autouse=True)
def _deterministic():
    from mmengine.registry import init_default_scope

    init_default_scope('mmseg')
    torch.manual_seed(0)
    if 'torch._dynamo' in sys.modules:
        # other tests' graphs of the same code would make its numbers symbols: minutes of sympy
        torch.compiler.reset()


@pytest.fixture(scope='session')
def repo() -> Path:
    return Path(__file__).resolve().parent.parent


def pytest_addoption(parser):
    parser.addoption('--full-size', action='store_true', help='run the full_size tests, too')


def pytest_collection_modifyitems(config, items):
    skipped = {}
    if not torch.cuda.is_available():
        skipped['gpu'] = 'no GPU here'
    if not config.getoption('full_size'):
        skipped['full_size'] = 'needs 6 GB of memory and minutes: make test-full'
    for item in items:
        for mark in skipped.keys() & item.keywords:
            item.add_marker(pytest.mark.skip(reason=skipped[mark]))
