"""timm's networks of stages: their maps, arguments and refusals."""

import pytest
import timm
import torch

from rein_seg.encoders import build_encoder, find_anatomy, shapes_only
from rein_seg.encoders.timm import TimmStages
from rein_seg.errors import UserError
from tests.named_models import NAMED, of_kind

STAGED = of_kind('convolutional') + of_kind('hierarchical')
QUICK = ('tf_efficientnet_lite0', 'swin_tiny_patch4_window7_224', 'pvt_v2_b0', 'hiera_tiny_224')
LITE0 = dict(type='TimmStages', model='tf_efficientnet_lite0', init_seed=0)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(model='tf_efficientnet_lite9'), "no model 'tf_efficientnet_lite9'.*lite4"),
        (dict(model='vit_tiny_patch16_224'), 'has no stages: .* stride 16.*TimmEncoder'),
        (dict(model='resnet18', model_args=dict(width=3)), "cannot be built.*'width'"),
        (dict(model='resnet18', out_indices=[5]), 'beyond the encoder: it has 5 stages'),
        (dict(model='resnet18', out_indices=[2, 1]), 'must rise'),
        (dict(model='resnet18', out_indices=[]), 'expected a list of stages'),
        (dict(model_args=dict(out_indices=[1])), 'out_indices is not for model_args'),
    ],
)
def test_bad_config(change, message):
    with pytest.raises(UserError, match=message):
        build_encoder({**LITE0, **change})


def test_default_maps_are_the_last_four():
    encoder, info = build_encoder(LITE0)
    maps = encoder(torch.zeros(1, 3, 64, 96))
    assert [tuple(x.shape[1:]) for x in maps] == [
        (24, 16, 24),
        (40, 8, 12),
        (112, 4, 6),
        (320, 2, 3),
    ]
    assert encoder.out_channels == (24, 40, 112, 320)
    assert encoder.out_strides == (4, 8, 16, 32)
    assert info.mean == (127.5, 127.5, 127.5)


def test_chosen_stages_are_the_maps_of_timm():
    encoder, _ = build_encoder({**LITE0, 'out_indices': [0, 3]})
    image = torch.randn(1, 3, 64, 64)
    whole = encoder.model(image)
    ours = encoder(image)
    assert torch.equal(ours[0], whole[0]) and torch.equal(ours[1], whole[3])


def test_a_map_with_channels_last_is_turned():
    args = dict(embed_dim=16, depths=(1, 1), num_heads=(1, 2), window_size=4)
    encoder = TimmStages('swin_tiny_patch4_window7_224', 64, model_args=args).eval()
    image = torch.randn(2, 3, 64, 96)
    reference = encoder.model(image)
    assert [tuple(x.shape) for x in reference] == [(2, 16, 24, 16), (2, 8, 12, 32)]
    for ours, theirs in zip(encoder(image), reference, strict=True):
        assert torch.equal(ours, theirs.permute(0, 3, 1, 2))


def test_a_size_goes_only_to_models_that_take_it():
    assert TimmStages('resnet18', 64).out_strides == (4, 8, 16, 32)
    with torch.device('meta'):
        hiera = TimmStages('hiera_tiny_224', 128)
    assert hiera.model.model.pos_embed.shape == (1, 32 * 32, 96)


def test_shapes_alone_are_built():
    with shapes_only():
        encoder, info = build_encoder(LITE0)
    assert info.weights == 'none: shapes only'
    reference = timm.create_model('tf_efficientnet_lite0', features_only=True)
    assert {f'model.{k}' for k in reference.state_dict()} == set(encoder.state_dict())


def test_random_weights_are_of_timms_rule_and_keep_the_size_of_maps():
    image = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    encoder, info = build_encoder(LITE0)
    with torch.no_grad():
        sizes = [out.std().item() for out in encoder(image)]
    assert all(0.1 < size < 30 for size in sizes), sizes
    assert info.weights == 'random:seed=0'
    again, other = (build_encoder({**LITE0, 'init_seed': seed})[0] for seed in (0, 1))
    first, second, third = (e.model.conv_stem.weight for e in (encoder, again, other))
    assert torch.equal(first, second) and not torch.equal(first, third)


def twin(name, size):
    """Ours, and timm's own network of stages for one size with the same weights."""
    model = NAMED[name]
    encoder, _ = build_encoder(model.config(name, size))
    sizes = dict(img_size=size) if model.sized and name != 'sam2_hiera_tiny' else {}
    reference = timm.create_model(name, features_only=True, **model.args, **sizes).eval()
    state = {k.removeprefix('model.'): v for k, v in encoder.state_dict().items()}
    for key in [key for key in reference.state_dict() if key.endswith('attn.q_bias')]:
        joined = state.pop(key.replace('q_bias', 'qkv.bias'))  # ours has one bias of qkv
        query, _, value = joined.chunk(3)
        state |= {key: query, key.replace('q_bias', 'v_bias'): value}
    reference.load_state_dict(state)
    return encoder, reference


def assert_maps_of_timm(name, size):
    encoder, reference = twin(name, size)
    image = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        ours, theirs = encoder(image), reference(image)
    last = str(getattr(reference, 'output_fmt', 'NCHW')).endswith('NHWC')
    for x, y, channels in zip(ours, theirs[-len(ours) :], encoder.out_channels, strict=True):
        first = y.permute(0, 3, 1, 2) if last else y
        assert x.shape[1] == channels
        assert torch.isfinite(x).all()
        assert torch.equal(x, first), (x - first).abs().max()


@pytest.mark.parametrize('name', QUICK)
def test_maps_are_those_of_timm(name):
    assert_maps_of_timm(name, 224)


@pytest.mark.whole_matrix
@pytest.mark.parametrize('size', ['native', '512'])
@pytest.mark.parametrize('name', STAGED)
def test_maps_of_every_named_model_are_those_of_timm(name, size):
    assert_maps_of_timm(name, 512 if size == '512' else NAMED[name].native)


def test_images_of_patches_without_padding_are_multiples_of_a_patch():
    swin = dict(type='TimmStages', model='swin_tiny_patch4_window7_224', init_seed=0)
    with shapes_only():
        assert find_anatomy(build_encoder(swin)[0]).divisor == 4
        assert find_anatomy(build_encoder({**swin, 'model': 'resnet18'})[0]).divisor == 1


def test_random_branches_do_not_begin_at_zero():
    encoder, _ = build_encoder(dict(type='TimmStages', model='resnet18', init_seed=0))
    assert encoder.model.layer1[0].bn2.weight.all()
    assert not timm.create_model('resnet18').layer1[0].bn2.weight.any()
