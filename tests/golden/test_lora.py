"""LoRA against loralib (linear, fused qkv) and the peft library (convolution)."""

import pytest
import torch
from torch import nn

from rein_seg.peft.lora import LoRALayer
from tests.golden.collect import assert_gradient, cases

SUPPORTED = ('linear', 'fused_qkv', 'conv2d_peft')


def supported(meta):
    return meta.get('case') in SUPPORTED and meta['config'].get('groups', 1) == 1


def build_op(config, weights):
    base = {
        k.removeprefix('base_model.model.fc.base_layer.'): v
        for k, v in weights.items()
        if 'lora_' not in k
    }
    shape = base['weight'].shape
    if len(shape) == 4:
        op = nn.Conv2d(
            shape[1],
            shape[0],
            shape[2],
            stride=config['stride'],
            padding=config['padding'],
            bias='bias' in base,
        )
    else:
        op = nn.Linear(shape[1], shape[0], bias='bias' in base)
    op.load_state_dict(base, strict=True)
    return op.requires_grad_(False)


def build(golden):
    config, weights = golden.meta['config'], golden.tensors('weight')
    op = build_op(config, weights)
    rows = [(0, op.weight.shape[0])]
    if 'enable_lora' in config:
        dim = config['dim']
        rows = [(i * dim, (i + 1) * dim) for i, on in enumerate(config['enable_lora']) if on]
    layer = LoRALayer(op, rows, rank=config['r'], alpha=config['lora_alpha'])
    names = {}
    for letter in 'AB':
        name = next(k for k in weights if f'lora_{letter}' in k)
        param = getattr(layer, f'lora_{letter}')
        param.data.copy_(weights[name].reshape(param.shape))
        names[name] = param
    return op, layer.eval(), names


@pytest.mark.parametrize('golden', cases('lora', supported))
def test_layer_equals_the_official_one(golden):
    op, layer, names = build(golden)
    x = golden.tensors('input')['x'].requires_grad_()
    y = layer(x, op(x))
    tolerance = golden.meta['tolerance']['output_max_abs']['y']
    assert (y - golden.tensors('output')['y']).abs().max() <= tolerance
    (y * golden.tensors('cotangent')['y']).sum().backward()
    grads = golden.tensors('grad')
    assert_gradient(x.grad, grads['input.x'], 'x')
    for name, param in names.items():
        assert_gradient(param.grad.reshape(grads[name].shape), grads[name], name)


@pytest.mark.parametrize('golden', cases('lora', supported))
def test_merged_weight_equals_the_official_one(golden):
    op, layer, _ = build(golden)
    merged = golden.tensors('merged')
    expected = merged.get('weight', merged.get('fc.weight'))
    with torch.no_grad():
        op.weight += layer.delta_weight()
        y = op(golden.tensors('input')['x'])
    torch.testing.assert_close(op.weight, expected, rtol=1e-5, atol=1e-5)
    tolerance = golden.meta['tolerance']['output_max_abs']['y']
    assert (y - merged['y']).abs().max() <= tolerance
