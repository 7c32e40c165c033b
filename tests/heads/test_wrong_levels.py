"""Heads with too few maps, with maps of the wrong kind, with indices of no map: one line each."""

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.errors import UserError
from tests.encoders.tiny import FOUR_MAPS
from tests.heads.tiny import GROUPS, HEADS
from tests.models.tiny import samples

MODEL_KEYS = ('neck', 'decode_head')


def build(name, *, encoder='swin', out_indices=(0, 1, 2, 3), in_index=None):
    row = {key: dict(HEADS[name][key]) for key in MODEL_KEYS if key in HEADS[name]}
    if in_index is not None:
        row['decode_head']['in_index'] = in_index
    backbone = dict(
        type='PEFTBackbone',
        encoder={**FOUR_MAPS[encoder], 'out_indices': list(out_indices)},
        peft=dict(type='Frozen'),
    )
    return MODELS.build(dict(type='PEFTSegmentor', backbone=backbone, num_classes=4, **row))


def steps(model, size=(64, 64)):
    losses = model.loss(torch.randn(2, 3, *size), samples(2, *size))
    return all(value.isfinite() for value in losses.values())


@pytest.mark.parametrize('encoder', ['swin', 'vit', 'pvt', 'pgt', 'hlg'])
@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('DuAT, classes', 'DuATHead reads four maps, fine to coarse, and got 1: .*out_indices'),
        ('Mask2Former', 'Mask2FormerHead reads four maps .*not 1: give the encoder four out_ind'),
        ('FPN, FPT', r'FPTHead got maps with strides .* twice the stride before, .*out_indices'),
        ('TokenPyramid, FPT', 'TokenPyramid has 4 factors for 1 maps: choose as many out_indices'),
    ],
)
def test_one_map_for_a_head_of_four(encoder, name, message):
    with pytest.raises(UserError, match=message):
        build(name, encoder=encoder, out_indices=[3])


@pytest.mark.parametrize('encoder', ['swin', 'vit', 'pgt'])
@pytest.mark.parametrize(
    'name',
    ['UPerNet', 'SegFormer', 'SETR, Naive', 'SETR, PUP', 'SETR, MLA', 'HLG', 'DDRNet', 'FCN'],
)
def test_heads_of_any_number_of_maps_train_on_one(encoder, name):
    in_index = 0 if name == 'DDRNet' else None
    assert steps(build(name, encoder=encoder, out_indices=[3], in_index=in_index))


def test_one_map_for_a_neck_that_begins_with_the_second():
    backbone = dict(type='PEFTBackbone', encoder={**FOUR_MAPS['pgt'], 'out_indices': [3]})
    cfg = dict(
        type='PEFTSegmentor',
        backbone={**backbone, 'peft': dict(type='Frozen')},
        neck=dict(type='FPN', out_channels=8, num_outs=3, start_level=1),
        decode_head=dict(type='FPTHead'),
        num_classes=3,
    )
    message = r'model\.neck: FPN does not fit the 1 maps .* \(fpn\.py, line .*out_indices'
    with pytest.raises(UserError, match=message):
        MODELS.build(cfg)


@pytest.mark.parametrize('count', [1, 2])
def test_too_few_maps_for_three_branches(count):
    cfg = dict(type='FPTHead')
    encoder = {**FOUR_MAPS['pgt'], 'out_indices': [1, 2, 3][:count]}
    backbone = dict(type='PEFTBackbone', encoder=encoder, peft=dict(type='Frozen'))
    message = r'FPTHead reads 3 maps of a pyramid, and got in_index=.*choose 3 or more out_indices'
    with pytest.raises(UserError, match=message):
        MODELS.build(dict(type='PEFTSegmentor', backbone=backbone, decode_head=cfg, num_classes=3))


def test_maps_of_several_sizes_for_a_head_of_one_size():
    with pytest.raises(UserError, match=r"'mla' adds maps of one size, .* strides \[8, 16, 32\]"):
        build('SETR, MLA', out_indices=[1, 2, 3])
    with pytest.raises(
        UserError, match='RepSepHead reads all blocks of a plain vision transformer'
    ):
        build('RepSep')


@pytest.mark.parametrize(
    'name',
    ['Linear', 'UPerNet', 'SegFormer', 'HLG', 'FPN, FPT', 'DuAT, classes', 'SETR, PUP', 'FCN'],
)
@pytest.mark.parametrize(
    ('in_index', 'message'),
    [
        ([0, 1, 2, 3, 4], r'in_index=\[0, 1, 2, 3, 4\], but there are [34] maps'),
        ('all', "in_index='all': expected the index of a map, or a list of indices"),
        ([], r'in_index=\[\]: expected the index'),
        ([0, '1'], r"in_index=\[0, '1'\]: expected the index"),
        (1.0, r'in_index=1\.0: expected the index'),
    ],
)
def test_an_index_of_no_map(name, in_index, message):
    with pytest.raises(UserError, match=message):
        build(name, in_index=in_index)


@pytest.mark.parametrize(
    ('name', 'head'),
    [
        ('Linear', 'LinearHead'),
        ('UPerNet', 'UPerHead'),
        ('SegFormer', 'SegformerHead'),
        ('HLG', 'HLGHead'),
    ],
)
def test_one_index_for_a_head_of_several_maps(name, head):
    message = rf'{head} reads several maps, and decode_head.in_index=2 names one: .*such as \[2\]'
    with pytest.raises(UserError, match=message):
        build(name, in_index=2)
    assert steps(build(name, in_index=[2]))


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('FCN', r'FCNHead reads one map, and decode_head.in_index=\[0, 1\] is a list: .*-1'),
        ('DeepLabV3+', r'ASPPHead reads one map, and decode_head.in_index=\[0, 1\] is a list'),
        ('DDRNet', r'DDRNetHead reads one map, and there are 2 \(\[0, 1\]\)'),
    ],
)
def test_several_indices_for_a_head_of_one_map(name, message):
    with pytest.raises(UserError, match=message):
        build(name, in_index=[0, 1])
    assert steps(build(name, in_index=1))


def test_other_assertions_of_mmseg_keep_their_line():
    cfg = dict(type='UPerHead', channels=8, pool_scales=3, in_index=[0, 1], norm_cfg=GROUPS)
    backbone = dict(type='PEFTBackbone', encoder=FOUR_MAPS['swin'], peft=dict(type='Frozen'))
    with pytest.raises(UserError, match=r'model\.decode_head: .*py, line'):
        MODELS.build(dict(type='PEFTSegmentor', backbone=backbone, decode_head=cfg, num_classes=3))
