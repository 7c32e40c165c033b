"""The Rein module against the official one: every layer, queries and gradients."""

import pytest
import torch

from rein_seg.peft.context import Context
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import Anatomy, StreamSite
from tests.checkpoint import official_model
from tests.golden.collect import assert_gradient, assert_near, cases

QUERY_LINEARS = ('transform.', 'merge.')


def build(config, weights):
    """Builds our method from the official config and loads the official names."""
    rein = PEFT_METHODS.build(official_model.method_of(config))
    rein.build(anatomy(config, num_prefix=0))
    if not config['link_token_to_query']:  # officially these exist, untrained
        weights = {k: v for k, v in weights.items() if not k.startswith(QUERY_LINEARS)}
    if config['zero_mlp_delta_f']:  # officially a constant, and saved as one where it is a buffer
        weights = {k: v for k, v in weights.items() if k != 'scale'}
    rein.stages[0].load_state_dict(weights, strict=True)
    return rein


def anatomy(config, num_prefix):
    depth, channels = config['num_layers'], config['embed_dims']
    sites = (StreamSite(i, 0, i, channels, where='out', taps=()) for i in range(depth))
    return Anatomy(
        family='golden',
        sites=tuple(sites),
        num_prefix=num_prefix,
        patch_size=1,
        out_channels=(),
        out_strides=(),
        stage_depths=(config['num_layers'],),
        stage_channels=(config['embed_dims'],),
    )


def apply(rein, config, x, layer, num_prefix):
    site = StreamSite(layer, 0, layer, config['embed_dims'], where='out', taps=())
    return x + rein.refine(x, Context(site, 'NLC', anatomy(config, num_prefix)))


@pytest.mark.parametrize('golden', cases('rein', 'reins'))
def test_module_equals_the_official_one(golden):
    config, outputs = golden.meta['config'], golden.tensors('output')
    inputs = golden.tensors('input')
    rein = build(config, golden.tensors('weight'))
    x = inputs['x'].requires_grad_()
    for layer in range(config['num_layers']):
        for name, prefix in (('cls', 1), ('nocls', 0)):
            expected = outputs[f'{name}.{layer}']
            assert_near(apply(rein, config, x, layer, prefix), expected, f'{name}.{layer}')
    assert_near(rein.stages[0].tokens(), outputs['tokens'], 'tokens')
    queries = rein.queries()
    assert (queries is not None) == config['link_token_to_query']
    if queries is not None:
        assert_near(queries, outputs['query'], 'query')


@pytest.mark.parametrize('golden', cases('rein', 'reins'))
def test_gradients_equal_the_official_ones(golden):
    config, outputs = golden.meta['config'], golden.tensors('output')
    inputs = golden.tensors('input')
    rein = build(config, golden.tensors('weight'))
    x = inputs['x'].requires_grad_()
    chain = x
    for layer in range(config['num_layers']):
        chain = apply(rein, config, chain, layer, num_prefix=1)
    assert_near(chain, outputs['chain'], 'chain')
    total = (chain * inputs['cot']).sum()
    if 'cot_query' in inputs and rein.queries() is not None:
        total = total + (rein.queries() * inputs['cot_query']).sum()
    total.backward()
    grads = {name: param.grad for name, param in rein.stages[0].named_parameters()}
    checked = 0
    for name, expected in outputs.items():
        name = name.removeprefix('grad.') if name.startswith('grad.') else None
        if name is None or name.startswith(QUERY_LINEARS) and queries_absent(rein):
            continue
        assert_gradient(x.grad if name == 'x' else grads[name], expected, name)
        checked += 1
    assert checked == len(grads) + 1


def queries_absent(rein):
    return rein.query_dims is None


def test_all_four_kinds_are_here():
    """The vectors kept in the repository cover both token kinds and every option."""
    kept = [p.values[0] for p in cases('rein', 'reins')]
    configs = [g.meta['config'] for g in kept]
    assert {c['type'] for c in configs} == {'Reins', 'LoRAReins'}
    for option in ('use_softmax', 'link_token_to_query', 'zero_mlp_delta_f'):
        assert {c[option] for c in configs} == {True, False}


def test_interleaving_matters():
    """Three blocks side by side, as the paper writes it, would give other queries."""
    every = [case.values[0] for case in cases('rein', 'reins')]
    golden = next(case for case in every if case.meta['config']['link_token_to_query'])
    rein = build(golden.meta['config'], golden.tensors('weight'))
    stage = rein.stages[0]
    each = stage.transform(stage.tokens())
    blocks = torch.cat((each.max(0).values, each.mean(0), each[-1]), dim=-1)
    assert (stage.merge(blocks) - golden.tensors('output')['query']).abs().max() > 0.1
