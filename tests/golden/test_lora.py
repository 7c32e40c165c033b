"""LoRA against loralib (linear, fused qkv, convolution) and the peft library (the same)."""

import pytest
import torch

from rein_seg.peft import LoRA
from tests.golden.collect import cases
from tests.golden.toy import Toy, assert_output, check_gradients, operation, same


def base_tensors(weights):
    """Weight and bias of the operation itself, whatever wraps it."""
    return {k.rsplit('.', 1)[-1]: v for k, v in weights.items() if 'lora_' not in k}


def official(weights, letter):
    return next((k, v) for k, v in weights.items() if f'lora_{letter}' in k)


def build(golden):
    config, weights = golden.meta['config'], golden.tensors('weight')
    (name_a, a), (name_b, b) = (official(weights, letter) for letter in 'AB')
    on = config.get('enable_lora', [])
    toy = Toy({'op': operation(config, **base_tensors(weights))}, parts='qkv'[: len(on)])
    kernel = a.dim() == 2 and 'kernel_size' in config
    method = LoRA(
        [part for part, switch in zip('qkv', on, strict=False) if switch] or ['op'],
        rank=config['r'],
        alpha=config['lora_alpha'],
        rank_stabilized=any(v for k, v in config.items() if 'rslora' in k or 'stabili' in k),
        conv_form='kernel' if kernel else 'spatial',
    )
    toy.attach(method)
    layer = method.layers['op']
    for param, value in ((layer.lora_A, a), (layer.lora_B, b)):
        param.data.copy_(value.reshape(param.shape))
    return toy, method, {name_a: (layer.lora_A, same), name_b: (layer.lora_B, same)}


@pytest.mark.parametrize('golden', cases('lora', ''))
def test_layer_equals_the_official_one(golden):
    toy, _, names = build(golden)
    check_gradients(toy, golden, names)


@pytest.mark.parametrize('golden', cases('lora', ''))
def test_merged_weight_equals_the_official_one(golden):
    toy, method, _ = build(golden)
    method.merge()
    merged = golden.tensors('merged')
    expected = merged.get('weight', merged.get('fc.weight'))
    torch.testing.assert_close(toy.ops['op'].weight, expected, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        assert_output(toy(golden.tensors('input')['x']), golden, 'merged')
