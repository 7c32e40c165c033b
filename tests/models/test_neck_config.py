"""Necks of mmseg between an encoder and a head."""

import pytest
import torch
from mmseg.models.necks import FPN
from mmseg.registry import MODELS

from rein_seg.errors import UserError
from rein_seg.heads.contract import HeadInputs
from rein_seg.models.neck_config import build_neck
from tests.encoders.tiny import FOUR_MAPS
from tests.heads.tiny import GROUPS
from tests.models.tiny import samples

CHANNELS, STRIDES = (8, 8, 16, 16), (4, 8, 16, 32)


@pytest.mark.parametrize(
    ('cfg', 'expected', 'strides'),
    [
        (dict(type='FPN', out_channels=12, num_outs=4), (12,) * 4, STRIDES),
        (dict(type='FPN', out_channels=12, num_outs=6), (12,) * 6, (*STRIDES, 64, 128)),
        (
            dict(type='FPN', out_channels=12, num_outs=2, start_level=1, end_level=3),
            (12,) * 2,
            (8, 16),
        ),
        (
            dict(type='MultiLevelNeck', out_channels=12, scales=[1, 2, 1, 0.5]),
            (12,) * 4,
            (4, 4, 16, 64),
        ),
        (dict(type='TokenPyramid'), CHANNELS, (1, 4, 16, 64)),
        (dict(type='TokenPyramid', out_channels=12), (12,) * 4, (1, 4, 16, 64)),
    ],
)
def test_channels_and_strides_of_the_maps_behind_a_neck(cfg, expected, strides):
    neck, channels, found = build_neck(cfg, HeadInputs(CHANNELS, STRIDES, 3))
    maps = [torch.randn(1, c, 128 // s, 128 // s) for c, s in zip(CHANNELS, STRIDES, strict=True)]
    assert (channels, found) == (expected, strides)
    behind = neck(maps)
    assert tuple(x.shape[1] for x in behind) == expected
    assert tuple(128 // x.shape[2] for x in behind) == strides
    assert neck.training


@pytest.mark.parametrize(
    ('cfg', 'expected'),
    [
        (dict(type='Feature2Pyramid', embed_dim=8, norm_cfg=dict(type='BN')), (8,) * 4),
        (dict(type='MLANeck', out_channels=12, norm_cfg=dict(type='BN')), (12,) * 4),
    ],
)
def test_maps_of_one_size_through_a_neck(cfg, expected):
    neck, channels, _ = build_neck(cfg, HeadInputs((8,) * 4, (16,) * 4, 3))
    assert channels == expected
    norms = [m for m in neck.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert all(norm.num_batches_tracked == 0 for norm in norms)  # trying it trains nothing


def test_semantic_fpn_trains_and_predicts():
    model = MODELS.build(
        dict(
            type='PEFTSegmentor',
            backbone=dict(type='PEFTBackbone', encoder=FOUR_MAPS['swin'], peft=dict(type='Frozen')),
            neck=dict(type='FPN', out_channels=8, num_outs=4),
            decode_head=dict(
                type='FPNHead', feature_strides=[4, 8, 16, 32], channels=4, norm_cfg=GROUPS
            ),
            num_classes=4,
        )
    )
    assert model.decode_head.in_channels == [8] * 4
    losses = model.loss(torch.randn(2, 3, 32, 64), samples(2, 32, 64))
    losses['decode.loss_ce'].backward()
    assert all(p.grad is not None for p in model.neck.parameters())
    with torch.no_grad():
        result = model.eval().predict(torch.randn(1, 3, 32, 64), samples(1, 32, 64))
    assert result[0].pred_sem_seg.data.shape == (1, 32, 64)


def test_a_neck_that_cannot_be_built_is_named():
    cfg = dict(
        type='PEFTSegmentor',
        backbone=dict(type='PEFTBackbone', encoder=FOUR_MAPS['swin'], peft=dict(type='Frozen')),
        neck=dict(type='FPN', out_channels=8, num_outs=2),
        decode_head=dict(type='LinearHead'),
        num_classes=3,
    )
    with pytest.raises(UserError, match=r'model\.neck.*fpn\.py'):
        MODELS.build(cfg)


def test_channels_that_the_maps_do_not_have_are_named():
    cfg = dict(type='FPN', in_channels=[8, 8, 8, 8], out_channels=8, num_outs=4)
    message = r'FPN does not fit .* channels \[8, 8, 16, 16\].*leave its in_channels out'
    with pytest.raises(UserError, match=message):
        build_neck(cfg, HeadInputs(CHANNELS, STRIDES, 3))


def test_a_neck_that_hands_its_arguments_on_gets_the_channels_and_a_tuple():
    @MODELS.register_module(name='OfUsers')
    class OfUsers(FPN):
        def __init__(self, **options):
            super().__init__(out_channels=12, num_outs=4, **options)

        def forward(self, maps):
            return super().forward(maps) + maps[:1]

    try:
        _, channels, strides = build_neck(dict(type='OfUsers'), HeadInputs(CHANNELS, STRIDES, 3))
    finally:
        MODELS.module_dict.pop('OfUsers')
    assert (channels, strides) == ((12, 12, 12, 12, 8), (*STRIDES, 4))
