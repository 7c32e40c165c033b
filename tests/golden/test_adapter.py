"""Adapters against the official ones: the function, and blocks of two kinds."""

import pytest
import torch

from rein_seg.peft.context import Context
from rein_seg.peft.methods.adapter import Adapter
from tests.golden.blocks import check, load, swin_block, vit_block
from tests.golden.collect import cases


def linears(down, up):
    return {
        f'{ours}.{leaf}': f'{theirs}.{leaf}'
        for ours, theirs in (('down', down), ('up', up))
        for leaf in ('weight', 'bias')
    }


@pytest.mark.parametrize('golden', cases('adapter', 'block'))
def test_pfeiffer_block_equals_the_official_one(golden):
    config, weights = golden.meta['config'], golden.tensors('weight')
    own = {k: v for k, v in weights.items() if not k.startswith('adapter_')}
    block = vit_block(config, own)
    method = Adapter('pfeiffer', hidden_dims=config['dim'] // config['reduction'])
    block.attach(method)
    assert list(method.layers) == ['ffn_0']
    names = linears('adapter_downsample', 'adapter_upsample')
    params = load(method.layers['ffn_0'], weights, names)
    x = golden.tensors('input')['x'].requires_grad_()
    check(golden, {'y': block(x)}, params, x)


@pytest.mark.parametrize('golden', cases('adapter', 'swin'))
def test_swin_block_equals_the_official_one(golden, tmp_path):
    config, weights = golden.meta['config'], golden.tensors('weight')
    block, index = swin_block(config, weights, tmp_path)
    width = len(weights['my_module_1.project1.bias'])
    method = Adapter('houlsby', hidden_dims=width, act='gelu', blocks=[index])
    block.attach(method)
    params = {}
    for branch, module in (('attn', 'my_module_1'), ('ffn', 'my_module_2')):
        names = linears(f'{module}.project1', f'{module}.project2')
        params |= load(method.layers[f'{branch}_{index}'], weights, names)
    x = golden.tensors('input')['x'].requires_grad_()
    check(golden, {'y': block(x)}, params, x)


@pytest.mark.parametrize('golden', cases('adapter', 'houlsby'))
def test_function_equals_the_original_one(golden):
    """Rows are tokens; the official matrices are transposed."""
    config, weights = golden.meta['config'], golden.tensors('weight')
    block = vit_block(dict(dim=config['dim'], heads=1, mlp_ratio=1), None)
    method = Adapter('houlsby', hidden_dims=config['hidden_size'])
    block.attach(method)
    site = method.find_sites(block.anatomy)[0]
    layer = method.layers['attn_0']
    with torch.no_grad():
        for i, linear in enumerate((layer.down, layer.up), start=1):
            linear.weight.copy_(weights[f'v.weights{i}'].t())
            linear.bias.copy_(weights[f'v.biases{i}'].flatten())
    params = {}
    for i, linear in enumerate((layer.down, layer.up), start=1):
        params[f'v.weights{i}'] = lambda p=linear.weight: p.grad.t()
        params[f'v.biases{i}'] = lambda p=linear.bias: p.grad
    x = golden.tensors('input')['x'].requires_grad_()
    y = x + layer(x[None], Context(site, 'NLC', block.anatomy))[0]
    check(golden, {'y': y}, params, x)
