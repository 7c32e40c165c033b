import pytest

from rein_seg.errors import UserError
from rein_seg.pretrain.linear_probe import linear_probe, probe_table
from tests.run.tiny_run import tiny_config


def test_a_probe_scores_every_domain_and_repeats(tmp_path):
    cfg = tiny_config(tmp_path)
    first, again = (linear_probe(cfg, images=4) for _ in range(2))
    assert list(first['domains']) == ['clear', 'night'] and first == again
    assert first['target_mean'] == first['domains']['night']['mIoU']
    assert first['weights'] == 'random:seed=0'
    table = probe_table({'random': first})
    assert table.splitlines()[0] == '| weights | clear | night | mean of targets |'
    assert f'{first["target_mean"]:.1f} |' in table.splitlines()[2]


def test_source_only_does_not_look_at_the_targets(tmp_path):
    result = linear_probe(tiny_config(tmp_path), images=2, source_only=True)
    assert list(result['domains']) == ['clear'] and result['target_mean'] is None
    assert not (tmp_path / 'scenes/v1-seed0-64x32/night').exists()


def test_bad_requests_are_refused(tmp_path):
    cfg = tiny_config(tmp_path)
    with pytest.raises(UserError, match='both given'):
        linear_probe(cfg, random=True, checkpoint='w.pth')
    with pytest.raises(UserError, match="'w.pth' does not exist"):
        linear_probe(cfg, checkpoint='w.pth')
    cfg.model.backbone.pop('encoder')
    with pytest.raises(UserError, match='no model.backbone.encoder'):
        linear_probe(cfg)
