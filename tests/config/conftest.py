"""The config that tests of protocols change."""

import pytest

from rein_seg.apis import load_config


@pytest.fixture(scope='module')
def path(repo):
    return str(repo / 'configs/rein_dinov2_gtav.py')


@pytest.fixture(scope='module')
def rein512(path):
    return load_config(path)
