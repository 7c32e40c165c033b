"""ResNetV2: equal to timm's, its maps and sites, timm's files."""

import pytest
import timm
import torch
from torch import nn

from rein_seg.encoders import build_encoder, find_anatomy
from rein_seg.encoders.resnetv2 import ResNetV2
from rein_seg.encoders.resnetv2.model import StdConv2d
from rein_seg.encoders.resnetv2.weights import convert_resnetv2
from rein_seg.errors import UserError
from rein_seg.structures import BranchSite, NormSite, OpSite, ParamSite
from tests.encoders.tiny import ENCODERS, FOUR_MAPS, image


@pytest.fixture(scope='module')
def theirs():
    torch.manual_seed(0)
    return timm.create_model('vit_base_r50_s16_224', depth=1, num_classes=7).eval()


@pytest.fixture(scope='module')
def ours(theirs):
    encoder = ResNetV2(norm_eps=1e-5).eval()
    converted = convert_resnetv2(encoder, theirs.state_dict())
    encoder.load_state_dict(converted.tensors)
    return encoder, converted


@pytest.mark.parametrize('size', [(64, 96), (35, 50)])
def test_maps_equal_timms(theirs, ours, size):
    backbone, x = theirs.patch_embed.backbone, image(*size)
    with torch.no_grad():
        expected = [backbone.stem.norm(backbone.stem.conv(x))]
        y = backbone.stem.pool(expected[0])
        for stage in backbone.stages:
            y = stage(y)
            expected.append(y)
        for actual, wanted in zip(ours[0](x), expected, strict=True):
            torch.testing.assert_close(actual, wanted, rtol=1e-4, atol=1e-5)


def test_the_transformer_of_a_hybrid_is_left_out(ours):
    left = set(ours[1].left_out)
    assert {'cls_token', 'pos_embed', 'norm.weight', 'head.bias', 'patch_embed.proj.weight'} <= left
    assert not [name for name in left if 'backbone' in name]
    assert sum(p.numel() for p in ours[0].parameters()) == 11_894_848


def test_convolutions_alone_are_taken_too(ours):
    state = ours[0].state_dict()
    assert convert_resnetv2(ours[0], state).tensors.keys() == state.keys()


@pytest.mark.parametrize(
    ('change', 'told'),
    [
        (lambda s: {n: t for n, t in s.items() if 'stem.norm' not in n}, 'a ResNetV2 of BiT'),
        (
            lambda s: {n: t for n, t in s.items() if 'stages.2' not in n},
            r'blocks \[3, 4\]; the encoder is the R50 of R50\+ViT: blocks \[3, 4, 9\]; set',
        ),
    ],
)
def test_files_of_other_variants_are_named(ours, change, told):
    with pytest.raises(UserError, match=told):
        convert_resnetv2(ours[0], change(ours[0].state_dict()))


@pytest.mark.parametrize('cfg', [ENCODERS['resnetv2'], FOUR_MAPS['resnetv2']])
def test_sites_and_strides(cfg):
    encoder, _ = build_encoder(cfg)
    anatomy = find_anatomy(encoder)
    maps = encoder(image(64, 96))
    assert tuple(m.shape[1] for m in maps) == anatomy.out_channels
    assert tuple(64 // m.shape[2] for m in maps) == anatomy.out_strides
    norms = {n for n, m in encoder.named_modules() if isinstance(m, nn.GroupNorm)}
    assert {site.name for site in anatomy.find(NormSite)} == norms
    params = {n for n, _ in encoder.named_parameters()}
    assert {site.name for site in anatomy.find(ParamSite)} == params
    assert not [site for site in anatomy.sites if isinstance(site, OpSite)]
    assert len(anatomy.find(BranchSite, branch='conv')) == anatomy.num_blocks == sum(cfg['depths'])


def test_filters_are_standardised_when_used():
    torch.manual_seed(0)
    conv = StdConv2d(3, 4, 3)
    x = torch.randn(1, 3, 5, 5)
    before = conv(x)
    with torch.no_grad():
        conv.weight.mul_(7).add_(0.5)
    torch.testing.assert_close(conv(x), before)
    used = conv.standardised().flatten(1)
    torch.testing.assert_close(used.mean(1), torch.zeros(4), atol=1e-6, rtol=0)
    torch.testing.assert_close(used.var(1, unbiased=False), torch.ones(4))


def test_widths_that_the_groups_do_not_divide_are_refused():
    with pytest.raises(UserError, match='base_channels=64, norm_groups=32: expected multiples'):
        ResNetV2(base_channels=64)


def test_an_output_before_the_last_stage_leaves_its_blocks_out():
    encoder, _ = build_encoder({**FOUR_MAPS['resnetv2'], 'out_indices': [0]})
    anatomy = find_anatomy(encoder)
    assert len(encoder(image())) == 1
    assert {s.name for s in anatomy.find(ParamSite)} == {
        'stem.conv.weight', 'stem.norm.weight', 'stem.norm.bias'
    }  # fmt: skip
