"""LoRA alone: sizes, targets, forms of convolutions."""

import pytest
import torch

from rein_seg.errors import UserError
from rein_seg.structures import OpSite
from tests.peft.build import backbone


def count(model):
    return sum(p.numel() for p in model.peft.parameters())


def test_number_of_parameters():
    every = backbone(type='LoRA', rank=4)
    # r (in + out) for q, k, v, proj, fc1 and fc2 of three blocks
    assert count(every) == 3 * 4 * (4 * (32 + 32) + 2 * (32 + 64))
    q_and_v = backbone(type='LoRA', rank=4, targets=['q', 'v'])
    assert count(q_and_v) == 3 * 4 * 2 * (32 + 32)


def test_on_q_and_v_leaves_k_alone():
    model = backbone(type='LoRA', rank=4, targets=['q', 'v'])
    layer = next(iter(model.peft.layers.values()))
    layer.lora_B.data.normal_()
    delta = layer.product()
    assert delta.shape == (96, 32)
    assert not delta[32:64].any()
    assert delta[:32].any()
    assert delta[64:].any()


def test_takes_the_operations_of_the_encoder_by_default_and_names_what_it_lacks():
    assert count(backbone('convnext', type='LoRA')) > 0
    with pytest.raises(UserError, match=r"has no \['q'\]; it has .*fc1"):
        backbone('convnext', type='LoRA', targets=['q'])
    with pytest.raises(UserError, match='grouped convolution .*depthwise_conv'):
        backbone('convnext', type='LoRA', targets=['dw'])


def test_scale_is_alpha_over_rank_or_its_root():
    layers = [
        next(
            iter(backbone(type='LoRA', rank=4, alpha=8, rank_stabilized=root).peft.layers.values())
        )
        for root in (False, True)
    ]
    assert [layer.scaling for layer in layers] == [2, 4]


def test_in_kernel_form_takes_grouped_convolutions():
    model = backbone('convnext', type='LoRA', targets=['dw'], rank=2, conv_form='kernel')
    site = model.anatomy.find(OpSite, role='dw')[0]
    layer = model.peft.layers[site.name.replace('.', '_')]
    # r k x in k and out / groups k x r k of a 7x7 convolution on 16 channels, one group each
    assert (layer.lora_A.shape, layer.lora_B.shape) == ((14, 112), (7, 14))
    assert layer.product().shape == site.module.weight.shape
    with pytest.raises(UserError, match='expected spatial or kernel'):
        backbone(type='LoRA', conv_form='dense')


def test_dropout_acts_in_training_only():
    model = backbone(type='LoRA', rank=4, dropout=0.5)
    for layer in model.peft.layers.values():
        layer.lora_B.data.normal_()
    x = torch.randn(1, 3, 32, 32)
    a, b = model(x).maps[-1], model(x).maps[-1]
    assert not torch.equal(a, b)
    model.eval()
    assert torch.equal(model(x).maps[-1], model(x).maps[-1])
