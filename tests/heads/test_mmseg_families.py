"""Heads of mmsegmentation that work as they are, on maps of one size and on a pyramid."""

from dataclasses import replace

import pytest
import torch

from rein_seg.building import building
from rein_seg.errors import UserError
from rein_seg.heads.contract import HeadInputs
from rein_seg.heads.mmseg_head import as_head
from rein_seg.models.head_config import build_head
from rein_seg.structures import Features
from tests.heads.tiny import GROUPS, HEADS

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


DPT = HEADS['DPT']['decode_head']


def draw_tokens(prefix=3):
    generator = torch.Generator().manual_seed(0)
    maps = tuple(torch.randn(2, 8, 4, 6, generator=generator) for _ in range(4))
    return Features(
        maps, prefix=tuple(torch.randn(2, prefix, 8, generator=generator) for _ in maps)
    )


@pytest.mark.parametrize('readout', ['ignore', 'add', 'project'])
def test_dpt_reads_maps_with_their_class_tokens(readout):
    module = build('DPTHead', **{**DPT, 'readout_type': readout})
    head, features = as_head(module), draw_tokens()
    assert bool(head.reads_prefix) == (readout != 'ignore')
    losses = head.loss(features, torch.randint(0, 3, (2, HEIGHT, WIDTH)))
    losses['loss_ce'].backward()
    assert all(p.grad is not None for p in module.parameters())
    module.eval()
    with torch.no_grad():
        predicted = head.predict(features, (50, 70))
        assert predicted.shape == (2, 3, 50, 70)
        # each image of a batch for itself, though pairs are as long as a batch of two
        alone = Features(
            tuple(x[:1] for x in features.maps), prefix=tuple(x[:1] for x in features.prefix)
        )
        torch.testing.assert_close(head.predict(alone, (50, 70)), predicted[:1])
        first, *others = features.prefix
        registers = torch.cat((first[:, :1], first[:, 1:] + 9), 1)
        same = head.predict(replace(features, prefix=(registers, *others)), (50, 70))
        other = head.predict(replace(features, prefix=(first + 9, *others)), (50, 70))
    assert torch.equal(same, predicted)
    assert torch.equal(other, predicted) == (readout == 'ignore')


def test_dpt_without_class_tokens_says_so():
    head = as_head(build('DPTHead', **DPT))
    for features in (draw_tokens(0), replace(draw_tokens(), prefix=None)):
        with pytest.raises(UserError, match="'project' joins .* set decode_head.readout_type='ig"):
            head(features)


@pytest.mark.parametrize(
    ('inputs', 'message'),
    [
        (HeadInputs(*MAPS['pyramid'], 3), r'\[8, 8, 16, 16\] channels, of strides \[4, 8'),
        (HeadInputs((8,) * 4, None, 3), 'behind a neck'),
        (HeadInputs((8,) * 3, (16,) * 3, 3), r'got maps of \[8, 8, 8\] channels'),
    ],
)
def test_dpt_makes_its_own_pyramid(inputs, message):
    with pytest.raises(UserError, match=message):
        build_head(DPT, inputs)


@pytest.mark.parametrize('name', ['CCHead', 'PSAHead'])
def test_heads_of_compiled_operations_say_so(name):
    options = dict(mask_size=(4, 6)) if name == 'PSAHead' else {}
    with pytest.raises(UserError, match='mmcv'), building('model.decode_head'):
        build(name, **options)
