"""Conv-Adapter alone."""

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.errors import UserError
from rein_seg.peft import ConvAdapter
from tests.encoders.tiny import ENCODERS


def backbone(family='vit', **peft):
    peft = dict(type='ConvAdapter', **peft)
    return MODELS.build(dict(type='PEFTBackbone', encoder=ENCODERS[family], peft=peft))


@pytest.mark.parametrize(
    ('family', 'key', 'side', 'act'),
    [
        ('vit', 'attn_0', 7, 'GELU'),
        ('swin', 'attn_0', 7, 'GELU'),
        ('sam', 'attn_0', 7, 'GELU'),
        ('convnext', 'conv_0', 7, 'GELU'),
        ('resnet', 'conv_0', 3, 'ReLU'),
    ],
)
def test_it_sits_beside_what_mixes_positions(family, key, side, act):
    layer = backbone(family).peft.layers[key]
    assert layer.conv1.kernel_size == (side, side)
    assert type(layer.act).__name__ == act


def test_merging_convolutions_have_one_each():
    layers = backbone('convnext').peft.layers
    assert list(layers) == ['conv_0', 'conv_1', 'conv_2', 'downsample_layers_1_1']
    conv = layers['downsample_layers_1_1'].conv1
    assert (conv.in_channels, conv.out_channels, conv.stride) == (16, 4, (2, 2))
    assert len(backbone('convnext', between_stages=False).peft.layers) == 3
    assert list(backbone('convnext', blocks=[0]).peft.layers) == ['conv_0']
    assert len(backbone('swin').peft.layers) == 4


def test_official_start_is_not_the_frozen_encoder():
    model, image = backbone(zero_init=False).eval(), torch.randn(1, 3, 32, 32)
    assert not model.peft.exact_at_start
    assert (model(image).maps[-1] - backbone().eval()(image).maps[-1]).abs().max() > 0.01


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(reduction=0), 'reduction=0'),
        (dict(kernel_size=4), 'kernel_size=4: expected .*, odd'),
        (dict(act='x'), "act='x'"),
    ],
)
def test_arguments_are_checked(change, message):
    with pytest.raises(UserError, match=message):
        ConvAdapter(**change)


def test_reduction_must_divide_the_width():
    with pytest.raises(UserError, match='reduction=5: expected a divisor of the 32 channels'):
        backbone(reduction=5)
