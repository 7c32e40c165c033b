"""A training run writes its config in one place, and goes through it almost straight."""

import pytest
from mmengine.config import Config, ConfigDict

from tests.config.walk import recorded, report, walk

MOST_RETURNS = 14  # 46 before one function resolved the config


@pytest.mark.usefixtures('quick')
def test_one_folder_writes_and_few_files_are_returned_to():
    found = walk('rein_tiny_miniscapes')
    assert {file.split('/')[0] for file in found.writers} == {'config'}
    assert found.stays[:3] == ['run/train.py', 'engine/ranks.py', 'config/resolve.py']
    assert found.returns <= MOST_RETURNS, report('rein_tiny_miniscapes', found)


def test_calls_and_writes_are_seen():
    from rein_seg.config import defaults

    before = ConfigDict.__dict__.get('update'), Config.__setattr__
    cfg = Config(dict(benchmark=dict(num_classes=3), model=dict()))
    with recorded() as found:
        defaults.fill_sizes(cfg)
    assert cfg.model.num_classes == 3
    assert found.calls == [('config/defaults.py', 'fill_sizes')]
    assert found.writers == {'config/defaults.py'}
    assert (ConfigDict.__dict__.get('update'), Config.__setattr__) == before
