"""ResNets of both packages: sites, honest strides, statistics that do not move, official files."""

import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import nn

from rein_seg.encoders import build_encoder, find_anatomy
from rein_seg.encoders.resnet import resnet_weights
from rein_seg.errors import UserError
from rein_seg.structures import BranchSite, NormSite, OpSite, ParamSite
from tests.encoders.files import load
from tests.encoders.probe import Probe
from tests.encoders.tiny import ENCODERS, image

RESNET = ENCODERS['resnet']
BOTTLENECK = dict(
    type='mmpretrain.ResNetV1d',
    depth=50,
    stem_channels=8,
    base_channels=4,
    num_stages=3,
    out_indices=[0, 1],
    strides=[1, 2, 1],
    dilations=[1, 1, 2],
    init_seed=0,
)
PLAIN = dict(
    type='mmseg.ResNet',
    depth=18,
    stem_channels=8,
    base_channels=8,
    num_stages=4,
    out_indices=[1, 3],
    strides=[1, 2, 1, 1],
    dilations=[1, 1, 2, 4],
    init_seed=0,
)
every = pytest.mark.parametrize(
    'cfg', [RESNET, BOTTLENECK, PLAIN], ids=['v1c', 'v1d_bottleneck', 'plain']
)


@every
def test_widths_and_strides_are_those_of_the_maps(cfg):
    encoder, _ = build_encoder(cfg)
    anatomy = find_anatomy(encoder)
    maps = encoder(image(64, 96))
    assert tuple(m.shape[1] for m in maps) == anatomy.out_channels
    assert tuple(64 // m.shape[2] for m in maps) == anatomy.out_strides
    assert tuple(96 // m.shape[3] for m in maps) == anatomy.out_strides
    assert len(anatomy.stage_depths) == max(cfg['out_indices']) + 1


@every
def test_every_operation_up_to_the_last_output_is_a_site(cfg):
    encoder, _ = build_encoder(cfg)
    anatomy = find_anatomy(encoder)
    beyond = f'layer{max(cfg["out_indices"]) + 2}.'
    modules = [(n, m) for n, m in encoder.named_modules() if not n.startswith(beyond)]
    convs = {n for n, m in modules if isinstance(m, nn.Conv2d)}
    norms = {n for n, m in modules if isinstance(m, nn.BatchNorm2d)}
    assert {site.name for site in anatomy.find(OpSite)} == convs
    assert {site.name for site in anatomy.find(NormSite)} == norms
    params = {n for n, _ in encoder.named_parameters() if not n.startswith(beyond)}
    assert {site.name for site in anatomy.find(ParamSite)} == params
    assert {s.role for s in anatomy.find(ParamSite)} == {'weight', 'norm', 'norm_bias'}


@every
def test_branch_conv_is_parallel_to_the_spatial_convolution(cfg):
    """A copy of convolution, norm and ReLU beside it doubles what the next convolution gets."""
    encoder, _ = build_encoder(cfg)
    norm_of = {}
    for module in encoder.modules():
        for n in (1, 2, 3):
            if hasattr(module, f'norm{n}'):
                norm_of[getattr(module, f'conv{n}', None)] = getattr(module, f'norm{n}')

    def beside(x, context):
        conv = context.site.entry_raw.module
        assert x.shape[1] == context.site.channels
        return F.relu(norm_of[conv](conv._conv_forward(x, conv.weight, conv.bias)))

    with torch.no_grad():
        anatomy = find_anatomy(encoder)
        probe = Probe(anatomy.find(BranchSite, branch='conv'), beside, source='entry_raw')
        probe.attach(encoder, anatomy)
        hooked = encoder(image())
        probe.detach()
        for site in anatomy.find(BranchSite):
            site.exit_pre.module.weight.mul_(2)
        doubled = encoder(image())
    for x, y in zip(hooked, doubled, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('norm_eval', [False, True])
def test_batch_statistics_of_a_frozen_encoder_do_not_move(norm_eval):
    encoder = {**RESNET, 'norm_eval': norm_eval}
    backbone = MODELS.build(
        dict(type='PEFTBackbone', encoder=encoder, peft=dict(type='Rein', num_tokens=4, rank=2))
    )
    before = {k: v.clone() for k, v in backbone.encoder.state_dict().items()}
    backbone.train()
    backbone(image() + 3).maps[-1].sum().backward()
    after = backbone.encoder.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(with_cp=True), 'with_cp=True.*activation_checkpointing'),
        (dict(out_indices=[1, 0]), 'must rise'),
        (dict(out_indices=[2]), 'cannot be built'),
    ],
)
def test_bad_config(change, message):
    with pytest.raises(UserError, match=message):
        encoder, _ = build_encoder({**RESNET, **change})
        find_anatomy(encoder)


@pytest.mark.parametrize('prefix', ['', 'backbone.'])
@pytest.mark.parametrize('counters', [True, False])
def test_official_files_load(prefix, counters, tmp_path):
    """torchvision's names are the plain ones, with a classifier; old files have no counters."""
    reference, _ = build_encoder(PLAIN)
    state = {
        prefix + name: torch.rand_like(value) if value.is_floating_point() else value
        for name, value in reference.state_dict().items()
        if counters or not name.endswith('num_batches_tracked')
    }
    head = {'fc.weight': torch.ones(3, 3)}
    if prefix:
        head = {'decode_head.conv_seg.weight': torch.ones(3), 'neck.conv.weight': torch.ones(3)}
    encoder = load(PLAIN, {**state, **head}, tmp_path)
    for name, value in state.items():
        assert torch.equal(encoder.state_dict()[name.removeprefix(prefix)], value)
    assert resnet_weights(encoder, {**state, **head}).left_out == tuple(head)


def test_missing_or_foreign_tensors_are_errors(tmp_path):
    state = build_encoder(PLAIN)[0].state_dict()
    state.pop('layer2.0.bn1.running_mean')
    with pytest.raises(UserError, match='Missing: layer2.0.bn1.running_mean'):
        load(PLAIN, state, tmp_path)
    with pytest.raises(UserError, match=r'has conv1, bn1, encoder ResNetV1c needs stem'):
        load(RESNET, state, tmp_path)
    fewer = {**PLAIN, 'num_stages': 2, 'out_indices': [1], 'strides': [1, 2], 'dilations': [1, 1]}
    load(fewer, build_encoder(PLAIN)[0].state_dict(), tmp_path)
