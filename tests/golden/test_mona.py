"""Mona against the official adapter and the official Swin block."""

import pytest

from rein_seg.peft.context import Context
from rein_seg.peft.methods.mona import Mona
from rein_seg.structures import Anatomy, RunState, StreamSite
from tests.golden.blocks import check, load, swin_block
from tests.golden.collect import cases


def params_of(layer, weights, prefix=''):
    return load(layer, weights, {name: prefix + name for name, _ in layer.named_parameters()})


@pytest.mark.parametrize('golden', cases('mona', 'module'))
def test_layer_equals_the_official_one(golden):
    config, weights = golden.meta['config'], golden.tensors('weight')
    state = RunState(grid=tuple(config['hw']))
    site = StreamSite(0, 0, 0, config['dim'], 'out', ())
    anatomy = Anatomy('golden', (site,), 0, 1, (), (), (1,), (1,), state=state)
    method = Mona(len(weights['project1.bias']))
    method.build(anatomy)
    layer = method.eval().layers['out_0']
    params = params_of(layer, weights)
    x = golden.tensors('input')['x'].requires_grad_()
    check(golden, {'y': x + layer(x, Context(site, 'NLC', anatomy))}, params, x)


@pytest.mark.parametrize('golden', cases('mona', 'swin'))
def test_swin_block_equals_the_official_one(golden, tmp_path):
    config, weights = golden.meta['config'], golden.tensors('weight')
    block, index = swin_block(config, weights, tmp_path)
    method = Mona(len(weights['my_module_1.project1.bias']), blocks=[index])
    block.attach(method)
    params = params_of(method.layers[f'mid_{index}'], weights, 'my_module_1.')
    params |= params_of(method.layers[f'out_{index}'], weights, 'my_module_2.')
    x = golden.tensors('input')['x'].requires_grad_()
    check(golden, {'y': block(x)}, params, x)
