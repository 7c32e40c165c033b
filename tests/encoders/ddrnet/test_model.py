"""DDRNet: maps and sizes, the same as mmseg's network, parameters to the digit, bad arguments."""

import pytest
import torch

from rein_seg.encoders import build_encoder, convert_weights, find_anatomy, shapes_only
from rein_seg.encoders.ddrnet import DualResNet
from rein_seg.errors import UserError
from rein_seg.heads import DDRNetHead
from rein_seg.models.backbone import PEFTBackbone
from rein_seg.structures import BranchSite, NormSite, OpSite, ParamSite, StreamSite
from tests.encoders.ddrnet.mmseg_model import mmseg_ddrnet
from tests.encoders.tiny import ENCODERS, image

TINY = ENCODERS['ddrnet']
HALF = dict(planes=4, layers=[1, 2, 4, 2], spp_planes=8, num_halves=2)


def ours_like(theirs, **options):
    arch = dict(planes=8, layers=[2, 2, 2, 2], spp_planes=16)
    encoder = DualResNet(arch, **options)
    encoder.load_state_dict(convert_weights(encoder, theirs.state_dict()).tensors)
    return encoder


@pytest.mark.parametrize('size', [(64, 96), (72, 104)])
def test_equals_mmseg_in_both_modes(size):
    theirs = mmseg_ddrnet()
    ours, x = ours_like(theirs), image(*size)
    auxiliary, features = theirs(x)  # in training mode alone it returns both
    found = ours(x)
    torch.testing.assert_close(found[0], features, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found[1], auxiliary, rtol=1e-4, atol=1e-4)
    for name, buffer in ours_like(theirs).named_buffers():  # moved by one step, the same way
        torch.testing.assert_close(ours.get_buffer(name), buffer, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(x)[0], theirs.eval()(x), rtol=1e-4, atol=1e-4)


def test_a_frozen_encoder_gives_the_auxiliary_map_too():
    backbone = PEFTBackbone(TINY, dict(type='LoRA', rank=2)).train()
    assert not backbone.encoder.training
    maps = backbone(image(32, 48)).maps
    assert [tuple(m.shape[1:]) for m in maps] == [(64, 4, 6), (32, 4, 6)]
    assert backbone.out_channels == (64, 32)


@pytest.mark.parametrize('arch', [TINY['arch'], HALF], ids=['tiny', 'halves'])
@torch.no_grad()
def test_the_pyramid_has_the_layers_before_their_relu(arch):
    plain = DualResNet(arch).eval()
    encoder = DualResNet(arch, out='pyramid').eval()
    encoder.load_state_dict(plain.state_dict())
    seen = {}
    for name in ('layer1', f'layer{encoder.halves[-1]}', 'layer4'):
        module = encoder.get_submodule(name)
        module.register_forward_hook(lambda m, i, output, name=name: seen.update({name: output}))
    x = image(64, 96)
    first, features, third, fourth = encoder(x)
    for mine, hooked in zip((first, third, fourth), seen.values(), strict=True):
        assert torch.equal(mine, hooked)
    torch.testing.assert_close(features, plain(x)[0])
    assert (fourth.min() < 0) == (arch['layers'][3] > 1)  # two blocks and more end without it
    anatomy = find_anatomy(encoder)
    assert anatomy.out_channels == tuple(m.shape[1] for m in encoder(x))
    assert anatomy.out_strides == tuple(64 // m.shape[2] for m in encoder(x)) == (4, 8, 16, 32)


@pytest.mark.parametrize('size', [(8, 8), (8, 40), (24, 136)])
@torch.no_grad()
def test_every_multiple_of_eight(size):
    maps = DualResNet(HALF).eval()(image(*size))
    assert [tuple(m.shape[2:]) for m in maps] == [(size[0] // 8, size[1] // 8)] * 2


def test_other_sides_name_the_size_that_would_do():
    backbone = PEFTBackbone(TINY, dict(type='Frozen'))
    with pytest.raises(UserError, match=r'multiples .* 8 pixels, not \(60, 96\).* to \(64, 96\)'):
        backbone(image(60, 96))


# millions, with the auxiliary head and without, for 19 classes
COUNTS = {'23_slim': (64, 5.73, 5.70), '23': (128, 20.30, 20.15), '39': (256, 32.66, 32.36)}


@pytest.mark.parametrize('arch', COUNTS)
def test_parameters(arch):
    width, both, without = COUNTS[arch]
    with shapes_only():
        encoder, _ = build_encoder(dict(type='DualResNet', arch=arch, init_seed=0))
    channels = find_anatomy(encoder).out_channels
    head = dict(channels=width, num_classes=19)
    heads = [DDRNetHead(c, in_index=i, **head) for i, c in enumerate(channels)]
    parts = [sum(p.numel() for p in part.parameters()) for part in (encoder, *heads)]
    assert round(sum(parts[:2]) / 1e6, 2) == without
    assert round(sum(parts) / 1e6, 2) == both


@pytest.mark.parametrize('arch', [TINY['arch'], HALF], ids=['tiny', 'halves'])
def test_sites_cover_the_network_and_the_stream_is_the_context_branch(arch):
    encoder = DualResNet(arch).eval()
    anatomy = find_anatomy(encoder)
    kinds = {OpSite: torch.nn.Conv2d, NormSite: torch.nn.BatchNorm2d}
    for site, module in kinds.items():
        names = [s.name for s in anatomy.find(site)]
        assert sorted(names) == sorted(n for n, m in encoder.named_modules() if type(m) in
                                       (module, *module.__subclasses__()))  # fmt: skip
    assert {s.name for s in anatomy.find(ParamSite)} == {n for n, _ in encoder.named_parameters()}
    assert {s.role for s in anatomy.find(OpSite)} == {
        'patch', 'conv1', 'conv2', 'conv3', 'downsample', 'merge', 'spp',
    }  # fmt: skip
    assert anatomy.stage_depths == tuple(arch['layers'])
    assert [s.block for s in anatomy.find(StreamSite, where='out')] == list(
        range(anatomy.num_blocks)
    )
    branches = anatomy.find(BranchSite)
    beside = [s.beside for s in branches if s.beside]
    assert len(branches) - len(beside) == anatomy.num_blocks
    assert len(beside) == sum(arch['layers'][2:]) + 2
    assert beside[-2:] == ['layer5.0', 'layer5_.0']


def test_adapters_sit_in_both_branches_each_under_its_own_name():
    layers = PEFTBackbone(TINY, dict(type='AdaptFormer', hidden_dims=4)).peft.layers
    assert {'conv_0', 'conv_3', 'conv_layer3_1__0', 'conv_layer4__0', 'conv_layer5_0'} <= set(
        layers
    )
    some = PEFTBackbone(TINY, dict(type='AdaptFormer', hidden_dims=4, blocks=[-1])).peft.layers
    assert set(some) == {'conv_5', 'conv_layer4__0'}


def test_training_statistics_are_of_one_norm_config():
    encoder = DualResNet(HALF, norm_cfg=dict(type='BN', eps=0.5, momentum=0.3))
    norms = [m for m in encoder.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert {(m.eps, m.momentum) for m in norms} == {(0.5, 0.3)}
    assert len(norms) == len(find_anatomy(encoder).find(NormSite))
    groups = DualResNet(HALF, norm_cfg=dict(type='GN', num_groups=2))
    assert groups.train()(image(64, 64)[:1])[0].isfinite().all()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(arch='slim'), "encoder.arch='slim'.*23_slim"),
        (dict(arch=23), 'encoder.arch=23: expected 23_slim, 23, 39, or a dict of planes'),
        (dict(arch={**HALF, 'planes': 0}), r'arch.planes=0: expected a whole number, 1 or more'),
        (dict(arch={**HALF, 'layers': [2, 2]}), r'layers=\[2, 2\]: expected .* four stages'),
        (dict(arch={**HALF, 'layers': [2, 2, 3, 2]}), 'num_halves=2: .* even number .* not 3'),
        (dict(arch={**HALF, 'num_halves': 3}), 'num_halves=3: expected 1, or 2'),
        # mmcv asserts without a word
        (dict(arch=HALF, norm_cfg=dict(type='GN')), "cannot be built: assert .*'num_groups'"),
        (dict(arch=HALF, out='pyramids'), "encoder.out='pyramids'; did you mean 'pyramid'"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(UserError, match=message):
        build_encoder(dict(type='DualResNet', init_seed=0, **options))


def test_training_on_one_image_is_an_error_before_the_pass():
    encoder = DualResNet(HALF).train()
    with pytest.raises(
        UserError, match='batch of 1 image.* 2 or more.*train_dataloader.batch_size'
    ):
        encoder(image(64, 64)[:1])
    encoder.eval()(image(64, 64)[:1])


def test_methods_for_tokens_say_why_they_cannot():
    with pytest.raises(UserError, match='VPT inserts tokens'):
        PEFTBackbone(TINY, dict(type='VPT', num_tokens=2))
