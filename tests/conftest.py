"""Fixtures that all tests share."""

import os
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


@pytest.fixture(scope='session')
def repo() -> Path:
    return Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items):
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason='no GPU here')
    for item in items:
        if 'gpu' in item.keywords:
            item.add_marker(skip)
