"""Progressive sampling, its layers and steps, and the loss of CASTformer's generator."""

import re

import pytest
import torch
from mmseg.registry import MODELS
from torch import nn

from rein_seg.necks.cat.layer import CATLayer, ClassAwareTransformer, Tokens
from rein_seg.necks.cat.sampling import sample, sample_officially
from tests.golden.collect import assert_gradient, cases

ATTRIBUTES = {'tokens': 'values'}


def near(actual, case, name):
    limit = case.meta['tolerance']['output_max_abs'][name]
    assert (actual - case.tensor(f'output.{name}')).abs().max() <= limit, name


def inputs_of(case):
    """Inputs that vectors have gradients of ask for them."""
    found = case.tensors('input')
    return {
        k: x.requires_grad_() if f'input.{k}' in case.tensors('grad') else x
        for k, x in found.items()
    }


def backward(case, outputs):
    cotangents = case.tensors('cotangent')
    sum((cotangents[name] * y).sum() for name, y in outputs.items()).backward()


def compare_gradients(case, given, parameters):
    """Compares every gradient in the vectors with ours."""
    for name, expected in case.tensors('grad').items():
        if name.startswith('input.'):
            actual = given[name.removeprefix('input.')].grad
        else:
            actual = parameters[name].grad
        assert_gradient(actual, expected, name)


@pytest.mark.parametrize('case', cases('cat_layer', 'sampler'))
@pytest.mark.parametrize('read', [sample, sample_officially])
def test_sampler(case, read):
    given = inputs_of(case)
    y = read(given['x'], given['point'] + case.meta['config']['gamma'] * given['offset'])
    near(y, case, 'y')
    backward(case, {'y': y})
    extra = case.tensors('output_extra')
    if read is sample or 'official_grad_x' not in extra:
        compare_gradients(case, given, {})
        return
    assert_gradient(given['x'].grad, extra['official_grad_x'], 'x')
    assert_gradient(given['offset'].grad, extra['official_grad_offset'], 'offset')


@pytest.mark.parametrize('case', cases('cat_layer', 'layer'))
def test_layer(case):
    config, given, weights = case.meta['config'], inputs_of(case), case.tensors('weight')
    layer = CATLayer(
        config['dim'],
        config['num_heads'],
        mlp_ratio=config['mlp_ratio'],
        gamma=config['gamma'],
        offset_bias=config['offset_bias'],
        qkv_bias=config.get('qkv_bias', False),
        predicts=config['pred_offset'],
        official=True,
    )
    encode = nn.Linear(2, config['dim'])
    modules = nn.ModuleDict({'position_layer': encode, 'layer': layer})
    renamed = {k if k.startswith('position') else f'layer.{k}': w for k, w in weights.items()}
    modules.load_state_dict(renamed)
    before = Tokens(given['point'], given.get('offset'), given.get('pre_out'))
    after = layer(given['x'], before, encode, torch.full((2,), float(config['feat_size'])))
    outputs = {'y': after.values}
    if config['pred_offset']:
        outputs['offset'] = after.offset
    assert outputs.keys() == case.tensors('output').keys() - {'point'}
    for name, actual in outputs.items():
        near(actual, case, name)
    for name, expected in {**case.tensors('output'), **case.tensors('output_extra')}.items():
        if name == 'point':
            torch.testing.assert_close(after.point, expected)
    backward(case, outputs)
    parameters = {n.removeprefix('layer.'): p for n, p in modules.named_parameters()}
    compare_gradients(case, given, parameters)


@pytest.mark.parametrize('case', cases('cat_layer', 'iterations'))
def test_iterations(case):
    config, given = case.meta['config'], inputs_of(case)
    cat = ClassAwareTransformer(
        config['dim'],
        (config['num_point_h'], config['num_point_w']),
        num_iters=config['num_iters'],
        num_heads=config['num_heads'],
        mlp_ratio=config['mlp_ratio'],
        gamma=config['gamma'],
        offset_bias=config['offset_bias'],
        qkv_bias=config.get('qkv_bias', False),
        official=True,
    )
    cat.load_state_dict(case.tensors('weight'))
    steps = list(cat.steps(given['x']))
    near(steps[-1].values, case, 'y')
    for name, expected in case.tensors('output_extra').items():
        kind, step = re.fullmatch(r'(tokens|offset|point)_?(\d+|last)', name).groups()
        actual = getattr(steps[-1 if step == 'last' else int(step)], ATTRIBUTES.get(kind, kind))
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)
    backward(case, {'y': steps[-1].values})
    compare_gradients(case, given, dict(cat.named_parameters()))


@pytest.mark.parametrize('case', cases('cat_layer', 'ce_dice'))
def test_ce_dice(case):
    given = inputs_of(case)
    losses = {
        'ce': MODELS.build(dict(type='mmseg.CrossEntropyLoss', avg_non_ignore=True)),
        'dice': MODELS.build(dict(type='BatchDiceLoss')),
    }
    values = {name: loss(given['logits'], given['labels']) for name, loss in losses.items()}
    values['total'] = 0.5 * values['ce'] + 0.5 * values['dice']
    for name, value in values.items():
        near(value, case, name)
    values['total'].backward()
    compare_gradients(case, given, {})
