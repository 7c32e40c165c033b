"""SVF against the official code: factorisation, outputs, gradients, merged weights."""

import pytest
import torch

from rein_seg.peft import SVF
from tests.golden.collect import assert_near, cases
from tests.golden.toy import Toy, assert_output, check_gradients, operation, same


@pytest.mark.parametrize('golden', cases('svf', ''))
def test_svf(golden):
    config, original = golden.meta['config'], golden.tensors('original')
    toy = Toy({'op': operation(config, original['weight'], original.get('bias'))})
    with torch.no_grad():
        assert_near(toy(golden.tensors('input')['x']), original['y'], 'original')
    # the official code floors the rank to a multiple of four
    method = toy.attach(SVF(['op'], rank_multiple=4))
    layer, initial = method.layers['op'], golden.tensors('initial')
    start = toy.ops['op'].weight + torch.tensordot(layer.left * layer.change(), layer.right, dims=1)
    assert_near(start, initial['weight'], 'initial weight', 1e-5)
    moved = golden.tensors('weight')['vector_S'] - initial['vector_S']
    layer.delta.data.copy_(moved.view_as(layer.delta))
    check_gradients(toy, golden, {'vector_S': (layer.delta, same)})
    method.merge()
    merged = golden.tensors('merged')
    torch.testing.assert_close(toy.ops['op'].weight, merged['weight'], rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        assert_output(toy(golden.tensors('input')['x']), golden, 'merged')


@pytest.mark.parametrize('golden', cases('svf', ''))
def test_full_rank_changes_nothing_at_the_start(golden):
    original = golden.tensors('original')
    toy = Toy({'op': operation(golden.meta['config'], original['weight'], original.get('bias'))})
    x = golden.tensors('input')['x']
    with torch.no_grad():
        before = toy(x)
        method = toy.attach(SVF(['op']))
        assert torch.equal(toy(x), before)
    assert method.layers['op'].delta.numel() == golden.meta['checks']['full_rank']
