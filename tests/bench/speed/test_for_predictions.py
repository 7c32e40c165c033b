"""Predictions of merged models and of mmseg's own, in turn with ours."""

from functools import partial

import pytest

from rein_seg.bench.speed import benchmark_speed, run
from rein_seg.bench.speed.floor import Product
from rein_seg.errors import UserError
from tests.bench.speed.tiny import mask2former_file
from tests.paths import REPO


@pytest.fixture
def ddrnet(tmp_path, monkeypatch):
    """A config of a narrow DDRNet."""
    monkeypatch.setattr(run, 'Product', partial(Product, side=64))
    base = str(REPO / 'configs/full_ddrnet_23_slim_cityscapes.py')
    arch = 'dict(_delete_=True, planes=4, layers=[2, 2, 2, 2], spp_planes=8)'
    path = tmp_path / 'narrow.py'
    path.write_text(f'_base_ = [{base!r}]\nmodel = dict(backbone=dict(encoder=dict(arch={arch})))')
    return str(path)


def measure(config, *compare, **options):
    options = dict(mode='predict', size=(64, 96), random=True, repeats=1, **options)
    return benchmark_speed(config, compare_with=compare, device='cpu', **options)


def test_merged_and_mmseg_run_in_turn_with_ours(ddrnet):
    targets = measure(ddrnet, 'merged=True', 'mmseg=True')['targets']
    assert list(targets) == ['narrow', 'merged=True', 'mmseg=True']
    assert all(one['images_per_s'] > 0 and one['time_ratio'] > 0 for one in targets.values())
    assert 'floor' in targets['merged=True']
    assert 'floor' not in targets['mmseg=True']


@pytest.mark.parametrize(
    ('key', 'message'),
    [
        (
            'model.backbone.encoder.arch.layers=[2,2,1,2],mmseg=True',
            'mmseg=True: DualResNet .* 23_slim or 23',
        ),
        ('mmseg=maybe', "mmseg='maybe': expected True or False"),
        (
            'model.backbone.peft.type=AdaptFormer,merged=True',
            'merged=True: AdaptFormer cannot be merged',
        ),
    ],
)
def test_what_cannot_be_compared(ddrnet, key, message):
    with pytest.raises(UserError, match=message):
        measure(ddrnet, key, profile=False)


def test_they_are_no_training_steps(ddrnet):
    with pytest.raises(UserError, match='add --mode predict'):
        benchmark_speed(ddrnet, compare_with=['merged=True'], size=(64, 64), random=True)


def test_other_networks_have_no_counterpart(tmp_path, monkeypatch):
    monkeypatch.setattr(run, 'Product', partial(Product, side=64))
    with pytest.raises(
        UserError, match='DINOv2 with Mask2FormerHead has no counterpart|no counter'
    ):
        measure(mask2former_file(tmp_path), 'mmseg=True', profile=False)
