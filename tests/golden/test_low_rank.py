"""DoRA, VeRA (peft library), PEGO and SoMA (official code): outputs, gradients, merged weights."""

import pytest
import torch

from rein_seg.peft import PEGO, DoRA, VeRA
from tests.golden.collect import assert_gradient, cases
from tests.golden.toy import Toy, assert_output, check_gradients, operation


def accepted(method):
    return lambda meta: meta.get('method') == method and 'tensors' in meta


def same(grad):
    return grad


def check_merged(toy, method, golden, weights):
    """``weights``: name of the merged weight -> role of its operation."""
    method.merge()
    merged = golden.tensors('merged')
    assert set(merged) == {*weights, 'y'}
    for name, role in weights.items():
        torch.testing.assert_close(toy.ops[role].weight, merged[name], rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        assert_output(toy(golden.tensors('input')['x']), golden, 'merged')


def peft_base(weights, name):
    prefix = f'base_model.model.{name}.base_layer.'
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


@pytest.mark.parametrize('golden', cases('dora', accepted('dora')))
def test_dora(golden):
    config, weights = golden.meta['config'], golden.tensors('weight')
    toy = Toy({'fc': operation(config, **peft_base(weights, 'fc'))})
    method = toy.attach(
        DoRA(
            ['fc'],
            rank=config['r'],
            alpha=config['lora_alpha'],
            rank_stabilized=config.get('use_rslora', False),
        )
    )
    layer, own = method.layers['fc'], {}
    names = {
        'lora_A': 'lora_A.default.weight',
        'lora_B': 'lora_B.default.weight',
        'magnitude': 'lora_magnitude_vector.default.weight',
    }
    for ours, theirs in names.items():
        param, name = getattr(layer, ours), f'base_model.model.fc.{theirs}'
        param.data.copy_(weights[name].reshape(param.shape))
        own[name] = (param, same)
    check_gradients(toy, golden, own)
    check_merged(toy, method, golden, {'fc.weight': 'fc'})


@pytest.mark.parametrize('golden', cases('vera', accepted('vera')))
def test_vera(golden):
    config, weights = golden.meta['config'], golden.tensors('weight')
    names = [f'fc{i + 1}' for i in range(len(config['dims']) - 1)]
    toy = Toy({name: operation(config, **peft_base(weights, name)) for name in names})
    method = toy.attach(
        VeRA(
            names,
            rank=config['r'],
            d_initial=config['d_initial'],
            seed=config['projection_prng_key'],
        )
    )
    assert torch.equal(method.down, weights['base_model.vera_A.default'])
    assert torch.equal(method.up, weights['base_model.vera_B.default'])
    own = {}
    for name in names:
        for letter in 'bd':
            param = getattr(method.layers[name], f'lambda_{letter}')
            official = f'base_model.model.{name}.vera_lambda_{letter}.default'
            param.data.copy_(weights[official].reshape(param.shape))
            own[official] = (param, same)
    check_gradients(toy, golden, own)
    check_merged(toy, method, golden, {f'{name}.weight': name for name in names})


@pytest.mark.parametrize('golden', cases('pego', accepted('pego')))
def test_pego(golden):
    config, weights = golden.meta['config'], golden.tensors('weight')
    base = {k.removeprefix('qkv.'): v for k, v in weights.items() if k.startswith('qkv.')}
    toy = Toy({'qkv': operation(config, **base)}, parts='qkv')
    method = toy.attach(
        PEGO(
            ['q', 'v'],
            rank=config['r'],
            groups=config['groups'],
            loss_weight=config['loss_weight'],
            reference_width=None,
        )
    )
    layer, own = method.layers['qkv'], {}
    each = [(part, i) for part in 'qv' for i in range(config['groups'])]
    a = [f'linear_a_{part}.{i}.weight' for part, i in each]
    b = [f'linear_b_{part}.{i}.weight' for part, i in each]
    layer.lora_A.data.copy_(torch.cat([weights[name] for name in a]))
    groups = torch.cat([weights[name] for name in b], dim=1).chunk(2, dim=1)
    layer.lora_B.data.copy_(torch.cat(groups))
    rank, dim = config['r'], config['dim']
    for i, name in enumerate(a):
        own[name] = (layer.lora_A, lambda g, i=i: g[i * rank : (i + 1) * rank])
    for i, name in enumerate(b):
        part, group = divmod(i, config['groups'])
        own[name] = (
            layer.lora_B,
            lambda g, p=part, j=group: g.unflatten(0, (2, dim))[p, :, j * rank : (j + 1) * rank],
        )
    check_gradients(toy, golden, own)
    method.zero_grad()
    loss = method.aux_losses()['loss_orthogonal']
    expected = golden.tensors('output')['orthogonal_loss_times_weight']
    torch.testing.assert_close(loss, expected.squeeze(), rtol=1e-5, atol=1e-6)
    loss.backward()
    gradients = golden.tensors('grad.orthogonal_loss')
    assert set(gradients) == set(own)
    for name, (param, view) in own.items():
        assert_gradient(view(param.grad), gradients[name], name)
    check_merged(toy, method, golden, {'weight': 'qkv'})
