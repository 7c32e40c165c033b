"""AdaptFormer alone."""

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.errors import UserError
from rein_seg.peft import AdaptFormer
from tests.encoders.tiny import ENCODERS


def backbone(family='vit', **peft):
    peft = dict(type='AdaptFormer', **peft)
    return MODELS.build(dict(type='PEFTBackbone', encoder=ENCODERS[family], peft=peft))


def test_size_is_two_projections_a_block():
    count = sum(p.numel() for p in backbone(hidden_dims=8).peft.parameters())
    assert count == 3 * (2 * 32 * 8 + 8 + 32)


def test_a_strided_convolution_has_a_strided_adapter_beside_it():
    """ResNet's first convolution of stage 2 has 8 channels in, 16 out and stride 2."""
    layer = backbone('resnet').peft.layers['conv_2']
    assert (layer.mlp.down.in_features, layer.mlp.up.out_features) == (8, 16)
    assert layer.mlp.stride == (2, 2)


def test_dropout_acts_in_training_only():
    model = backbone(dropout=0.5)
    for layer in model.peft.layers.values():
        layer.mlp.up.weight.data.normal_()
    x = torch.randn(1, 3, 32, 32)
    assert not torch.equal(model(x).maps[-1], model(x).maps[-1])
    model.eval()
    assert torch.equal(model(x).maps[-1], model(x).maps[-1])


def test_scale_and_blocks():
    model = backbone(learn_scale=True, scale=1.0, blocks=[-1])
    assert list(model.peft.layers) == ['ffn_2']
    assert model.peft.layers['ffn_2'].scale.tolist() == [1.0]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(hidden_dims=0), 'hidden_dims=0: expected a whole number, at least 1'),
        (dict(form='beside'), "form='beside': expected parallel or sequential"),
        (dict(norm='both'), "norm='both': expected none or in or out"),
    ],
)
def test_arguments_are_checked(change, message):
    with pytest.raises(UserError, match=message):
        AdaptFormer(**change)
