"""Heads of mmsegmentation that work as they are, on maps of one size and on a pyramid."""

import pytest
import torch

from rein_seg.building import building
from rein_seg.errors import UserError
from rein_seg.heads.contract import HeadInputs
from rein_seg.heads.mmseg_head import as_head
from rein_seg.models.head_config import build_head
from rein_seg.structures import Features
from tests.heads.tiny import GROUPS

HEIGHT, WIDTH = 64, 96
MAPS = {'plain': ((8,) * 4, (16,) * 4), 'pyramid': ((8, 8, 16, 16), (4, 8, 16, 32))}
# those of tests/heads/tiny.py run in the contract and in the support table
CASES = {
    'ANNHead': dict(project_channels=4, in_index=[2, 3]),
    'APCHead': dict(pool_scales=(1, 2)),
    'ASPPHead': dict(dilations=(1, 2)),
    'DMHead': dict(filter_sizes=(1, 3)),
    'DNLHead': dict(),
    'DepthwiseSeparableFCNHead': dict(),
    'EMAHead': dict(ema_channels=4, num_bases=4, num_stages=2),
    'EncHead': dict(num_codes=4),
    'FPNHead': dict(),
    'GCHead': dict(),
    'ISAHead': dict(isa_channels=4, down_factor=(2, 2)),
    'LightHamHead': dict(ham_channels=8, ham_kwargs=dict(MD_R=4)),
    'SegmenterMaskTransformerHead': dict(
        num_layers=1, num_heads=2, embed_dims=8, norm_cfg=dict(type='LN')
    ),
}


def build(name, kind='plain', **options):
    torch.manual_seed(0)
    cfg = {'type': name, 'channels': 8, 'norm_cfg': GROUPS, **CASES.get(name, {}), **options}
    return build_head(cfg, HeadInputs(*MAPS[kind], 3))


def draw(kind):
    shapes = [(2, c, HEIGHT // s, WIDTH // s) for c, s in zip(*MAPS[kind], strict=True)]
    return Features(tuple(map(torch.randn, shapes)))


@pytest.mark.parametrize('kind', MAPS)
@pytest.mark.parametrize('name', CASES)
def test_head_trains_and_predicts(name, kind):
    module = build(name, kind)
    head, features = as_head(module), draw(kind)
    losses = head.loss(features, torch.randint(0, 3, (2, HEIGHT, WIDTH)))
    sum(value.sum() for key, value in losses.items() if 'loss' in key).backward()
    trained = {key: p for key, p in module.named_parameters() if p.requires_grad}
    assert not [key for key, p in trained.items() if p.grad is None or not p.grad.isfinite().all()]
    module.eval()
    with torch.no_grad():
        assert head.predict(features, (50, 70)).shape == (2, 3, 50, 70)


def test_strides_and_the_channels_of_details_are_filled_in():
    assert build('FPNHead', 'pyramid').feature_strides == [4, 8, 16, 32]
    assert build('FPNHead', 'pyramid', in_index=[1, 2]).feature_strides == [8, 16]
    options = dict(dilations=(1, 2), c1_channels=4)
    head = build('DepthwiseSeparableASPPHead', 'pyramid', in_index=2, **options)
    assert head.c1_bottleneck.conv.in_channels == 8
    head = build('DepthwiseSeparableASPPHead', 'pyramid', c1_in_channels=0, **options)
    assert not head.c1_bottleneck


@pytest.mark.parametrize(('read', 'maps'), [(dict(in_index=1), '1 map'), ({}, '4 maps')])
def test_a_stride_for_each_map(read, maps):
    with pytest.raises(UserError, match=rf'feature_strides=\[4, 8\] for {maps}: .*2 out_indices'):
        build('FPNHead', 'pyramid', feature_strides=[4, 8], **read)


@pytest.mark.parametrize('name', ['CCHead', 'PSAHead'])
def test_heads_of_compiled_operations_say_so(name):
    options = dict(mask_size=(4, 6)) if name == 'PSAHead' else {}
    with pytest.raises(UserError, match='mmcv'), building('model.decode_head'):
        build(name, **options)
