"""FRPT: sampler, awareness block, head and Recall@K against its code."""

import pytest
import torch

from rein_seg.checkpoint import load_strict
from rein_seg.evaluation.recall import recall_at_k
from rein_seg.heads.image import RetrievalHead
from rein_seg.heads.image.awareness import AwarenessBlock, power_mean
from rein_seg.peft import FRPT
from rein_seg.structures import Anatomy, Features
from tests.golden.collect import assert_gradient, cases


def near(golden, actual, name, key=None, limit=None):
    """Compares with an output, by the tolerance of the sidecar."""
    key = key or f'output.{name}'
    limit = limit or golden.meta['tolerance']['output_max_abs'][name]
    error = (actual.double() - golden.tensor(key).double()).abs().max()
    assert error <= limit, f'{key}: {error} > {limit}'


def check_gradients(golden, outputs, parameters, inputs):
    gradients = {
        name: gradient
        for name, gradient in golden.tensors('grad').items()
        if name not in golden.meta['checks']['gradient_is_zero_up_to_rounding']
    }
    assert gradients
    total = sum((golden.tensor(f'cotangent.{name}') * out).sum() for name, out in outputs.items())
    wanted = {**parameters, **{f'input.{name}': x for name, x in inputs.items()}}
    found = torch.autograd.grad(total, [wanted[name] for name in gradients])
    for name, gradient in zip(gradients, found, strict=True):
        assert_gradient(gradient, gradients[name], name)


def with_gradients(golden):
    return {name: x.requires_grad_() for name, x in golden.tensors('input').items()}


def sampler_of(golden):
    """The sampler of the method, with the golden weights, and the filter that it should have."""
    config, weights = golden.meta['config'], golden.tensors('weight')
    repository = config['form'] == 'repository'
    method = FRPT(
        config['form'],
        kernel_size=weights['conv_last.weight'].shape[-1],
        grid_size=config['grid_size'],
        padding=config['padding'],
        width=float(config['fwhm']),
        official=repository,
    )
    sizes = dict(out_channels=(config['channels'],), out_strides=(4,))
    stages = dict(stage_depths=(1,), stage_channels=(config['channels'],))
    method.build(Anatomy('toy', (), num_prefix=0, patch_size=4, **sizes, **stages))
    weights.pop('conv_last.bias', None)  # without effect before a softmax
    start = golden.tensor('output_extra.gaussian_at_initialisation')
    torch.testing.assert_close(method.sample.filter(start), start, rtol=1e-5, atol=1e-7)
    if not repository:
        assert torch.equal(weights.pop('filter.weight'), start)
    load_strict(method.sample, weights, what='sampler', source='golden')
    return method


@pytest.mark.parametrize('golden', cases('frpt', 'sampler'))
def test_sampler(golden):
    config, inputs = golden.meta['config'], with_gradients(golden)
    method = sampler_of(golden)
    sample, size = method.sample, (config['output_size'],) * 2
    near(golden, sample.attention(inputs['features']), '', 'output_extra.attention', limit=1e-5)
    grid = sample.grid(inputs['features'], size)
    image = torch.nn.functional.grid_sample(inputs['image'], grid, align_corners=True)
    if inputs['image'].shape[-2:] == size:
        first = Features(maps=(inputs['features'],))
        assert torch.equal(method.prepare(inputs['image'], first), image)
    near(golden, grid, 'grid')
    near(golden, image, 'image')
    outputs = {'grid': grid, 'image': image}
    check_gradients(golden, outputs, dict(sample.named_parameters()), inputs)


@pytest.mark.parametrize('golden', cases('frpt', 'cah'))
def test_awareness_block(golden):
    config, inputs = golden.meta['config'], with_gradients(golden)
    block = AwarenessBlock(config['dim'], config['reduction'])
    load_strict(block, golden.tensors('weight'), what='block', source='golden')
    block.train(golden.meta['mode'] == 'train')
    y = block(inputs['x'])
    near(golden, y, 'y')
    gate = block.channel_attention(inputs['x'].mean((2, 3), keepdim=True))
    near(golden, gate, '', 'output_extra.gate', limit=1e-5)
    check_gradients(golden, {'y': y}, dict(block.named_parameters()), inputs)


@pytest.mark.parametrize('golden', cases('frpt', 'retrieval_head'))
def test_retrieval_head(golden):
    config, inputs = golden.meta['config'], with_gradients(golden)
    head = RetrievalHead([config['dim']], num_classes=2, form='repository')
    own = {k: v for k, v in head.state_dict().items() if k.startswith(('neck.', 'classify.'))}
    weights = golden.tensors('weight')
    load_strict(head, {**own, **weights}, what='head', source='golden')
    head.train(golden.meta['mode'] == 'train')
    y = head.refine(inputs['x'])
    near(golden, y, 'y')
    check_gradients(golden, {'y': y}, dict(head.named_parameters()), inputs)
    if 'output_extra.pooled' in golden.meta['tensors']:
        near(golden, power_mean(y)[:, :, None, None], 'y', 'output_extra.pooled')
    state = head.state_dict()
    for name in golden.tensors('output_extra'):
        if name in state:
            near(golden, state[name], '', f'output_extra.{name}', limit=1e-5)


@pytest.mark.parametrize('golden', cases('frpt', 'recall'))
def test_recall(golden):
    inputs, ks = golden.tensors('input'), golden.meta['config']['ks']
    found = recall_at_k(inputs['embeddings'], inputs['labels'], ks)
    near(golden, torch.tensor(found, dtype=torch.float64), 'recall_percent')
    official = recall_at_k(inputs['embeddings'], inputs['labels'], ks, leave_out='nearest')
    of_code = {'output.recall_percent_official', 'output_extra.official'}
    for key in of_code & golden.meta['tensors'].keys():
        near(golden, torch.tensor(official, dtype=torch.float64), '', key, limit=0.006)
    by_hand = golden.meta['checks'].get('hand_computed_percent')
    assert by_hand is None or found == pytest.approx(by_hand, abs=1e-3)
