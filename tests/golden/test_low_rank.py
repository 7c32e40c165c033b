"""DoRA and VeRA (peft library), PEGO and SoMA: outputs, gradients, merged weights."""

import re

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.peft import PEGO, DoRA, SoMA, VeRA
from tests.golden.collect import assert_gradient, assert_near, cases
from tests.golden.toy import Toy, assert_output, check_gradients, operation, same


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


@pytest.mark.parametrize('golden', cases('dora', ''))
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


@pytest.mark.parametrize('golden', cases('vera', ''))
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
    assert torch.equal(method.pair.down, weights['base_model.vera_A.default'])
    assert torch.equal(method.pair.up, weights['base_model.vera_B.default'])
    own = {}
    for name in names:
        for letter in 'bd':
            param = getattr(method.layers[name], f'lambda_{letter}')
            official = f'base_model.model.{name}.vera_lambda_{letter}.default'
            param.data.copy_(weights[official].reshape(param.shape))
            own[official] = (param, same)
    check_gradients(toy, golden, own)
    check_merged(toy, method, golden, {f'{name}.weight': name for name in names})


@pytest.mark.parametrize('golden', cases('pego', ''))
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


@pytest.mark.parametrize('golden', cases('soma', ''))
def test_soma(golden):
    config, weights = golden.meta['config'], golden.tensors('weight')
    original, initial = golden.tensors('original'), golden.tensors('initial')
    toy = Toy({'op': operation(config, original['weight'], weights['bias'])})
    components = 'principal' if config['first_eigen'] else 'minor'
    method = toy.attach(
        SoMA(
            ['op'],
            rank=config['r'],
            alpha=config['lora_alpha'],
            blocks=[0],
            components=components,
        )
    )
    layer = method.layers['op']
    # signs of singular vectors are not unique: products are compared
    start = layer.scaling * layer.product()
    assert_near(start, initial['product'], 'product', 1e-5)
    residual = original['weight'] - start
    assert_near(residual, initial['weight'], 'residual', 1e-5)
    values = torch.linalg.svdvals(original['weight'])
    assert_near(values, golden.tensor('singular_values'), 'singular values', 1e-5)
    own = {}
    for ours, theirs in (
        ('lora_A', 'lora_A.weight'),
        ('lora_B', 'lora_B.weight'),
        ('bias', 'bias'),
    ):
        param = getattr(layer, ours)
        param.data.copy_(weights[theirs])
        own[theirs] = (param, same)
    check_gradients(toy, golden, own)
    check_merged(toy, method, golden, {'weight': 'op'})


@pytest.mark.parametrize('golden', cases('soma', 'trainable_names'))
def test_soma_trains_the_official_parameters(golden):
    config = golden.meta['config']
    dim, depth, first = config['dim'], config['depth'], config['start_lora_idx']
    total, rank = golden.meta['trainable_parameters'] - dim, config['r']  # mask_token's
    # the width of the feed-forward is not in the sidecar: it follows from the total
    square = 2 * rank * dim + dim
    hidden, rest = divmod(total // (depth - first) - 5 * square, 2 * rank + 1)
    assert rest == 0
    cfg = dict(
        type='mmpretrain.VisionTransformer',
        arch=dict(embed_dims=dim, num_layers=depth, num_heads=1, feedforward_channels=hidden),
        img_size=32,
        patch_size=8,
        out_indices=[depth - 1],
        out_type='featmap',
        final_norm=False,
        init_seed=0,
    )
    assert config['bias'] == 'all'
    targets, blocks = config['target_modules'], range(first, depth)
    peft = dict(type='SoMA', targets=targets, rank=rank, blocks=blocks)
    model = MODELS.build(dict(type='PEFTBackbone', encoder=cfg, peft=peft))
    named = [name for name in golden.meta['trainable'] if name != 'mask_token']  # not used
    count = 0
    for name in named:
        pattern = r'blocks\.(\d+)\.(?:attn|mlp)\.(\w+)\.(\w+)(?:\.weight)?'
        block, part, leaf = re.fullmatch(pattern, name).groups()
        count += part_of(model.peft, int(block), part, leaf).numel()
    assert count == total == sum(p.numel() for p in model.peft.parameters())


def part_of(method, block, part, leaf):
    """One part's own slice of our stacked tensors."""
    where = {'proj': 'attn_proj', 'fc1': 'ffn_layers_0_0', 'fc2': 'ffn_layers_1'}
    tensor = getattr(method.layers[f'layers_{block}_{where.get(part, "attn_qkv")}'], leaf)
    return tensor.chunk(3)['qkv'.index(part)] if part in 'qkv' else tensor
