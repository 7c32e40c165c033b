"""Conv-LoRA layers against the official ones: outputs, choice, balance loss and gradients."""

import pytest
import torch
from torch import nn

from rein_seg.peft.context import Context
from rein_seg.peft.methods.conv_lora import ConvLoRA, from_official
from rein_seg.structures import Anatomy, OpSite, RunState, Tap
from tests.golden.collect import cases

FROZEN = ('weight', 'bias')
CONSTANTS = ('lora_moe_gating.mean', 'lora_moe_gating.std')


def layers(*, train):
    every = cases('conv_lora', 'conv_lora_linear')
    fit = [case for case in every if (case.values[0].meta['config']['mode'] == 'train') == train]
    return pytest.mark.parametrize('golden', fit)


class Layer:
    """The official layer's linear, with our method on it."""

    def __init__(self, golden):
        config, weights = golden.meta['config'], golden.tensors('weight')
        self.op = nn.Linear(config['in_features'], config['out_features'], bias='bias' in weights)
        self.op.load_state_dict({k: v for k, v in weights.items() if k in FROZEN}, strict=True)
        layout = 'NLC' if 'L' in config['layout'] else 'NHWC'
        site = OpSite(0, 0, 0, config['in_features'], 'qkv', 'qkv', Tap(self.op, 'output', layout))
        state = RunState(grid=tuple(config['grid']))
        anatomy = Anatomy('golden', (site,), 0, 1, (), (), (1,), (1,), state=state)
        self.method = ConvLoRA(
            rank=config['r'],
            alpha=config['lora_alpha'],
            dropout=config['lora_dropout'],
            num_experts=config['num_experts'],
            scales=config['scales'],
            top_k=config['top_k'],
            noise=config.get('noisy_gating', True),
            noise_eps=config.get('noise_epsilon', 0.01),
            loss_coef=config.get('loss_coef', 0.01),
        )
        self.method.build(anatomy)
        self.layer = self.method.layers['qkv']
        own = from_official(weights)
        if self.layer.gate.w_noise is None:  # officially it exists, unused
            own.pop('gate.w_noise')
        self.layer.load_state_dict(own, strict=True)
        self.method.train(config['mode'] == 'train')
        self.context = Context(site, layout, anatomy)

    def __call__(self, x):
        return self.layer(x, self.op(x), self.context)


def assert_layer_output(actual, expected, name):
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=2e-4, msg=lambda m: f'{name}: {m}')


@layers(train=False)
def test_layer_equals_the_official_one(golden):
    layer, expected = Layer(golden), golden.tensors('output')
    x = golden.tensors('input')['x']
    y = layer(x)
    assert_layer_output(y, expected['y'], 'y')
    aux = layer.method.aux_losses()['loss_balance']
    torch.testing.assert_close(aux, expected['aux_loss'].squeeze(), rtol=0, atol=1e-6)
    assert_layer_output(layer.op(x), expected['base_linear'], 'base')
    chosen, gates, _ = layer.layer.gate(expected['gate_pooled'])
    assert torch.equal(chosen[:, 0], expected['expert_index'])
    assert torch.equal(gates, expected['gates'])
    delta = layer.layer.expert_delta(expected['lora_down'], layer.context)
    assert_layer_output(delta, expected['expert_delta'], 'expert_delta')


@layers(train=True)
def test_training_equals_the_official_one(golden, monkeypatch):
    layer, inputs, expected = Layer(golden), golden.tensors('input'), golden.tensors('output')
    if golden.meta['config']['noisy_gating']:
        monkeypatch.setattr(layer.layer.gate, 'draw_noise', lambda like: inputs['noise'])
    x = inputs['x'].requires_grad_()
    y = layer(x)
    aux = layer.method.aux_losses()['loss_balance']
    assert_layer_output(y, expected['y'], 'y')
    torch.testing.assert_close(aux, expected['aux_loss'].squeeze(), rtol=0, atol=1e-6)
    total = (y * inputs['cotangent']).mean() + aux
    torch.testing.assert_close(total, expected['total'].squeeze(), rtol=1e-5, atol=1e-6)
    total.backward()
    check_gradients(layer, x.grad, golden)


def check_gradients(layer, x_grad, golden):
    grads = golden.tensors('grad')
    absent = golden.meta['config']['gradients_absent_for']
    names = golden.tensors('weight').keys() - set(FROZEN) - set(CONSTANTS)
    assert names == (grads.keys() | set(absent)) - {'x', *FROZEN}
    for name in absent:  # officially none; ours are zero where the parameter exists
        grads[name] = torch.zeros_like(golden.tensors('weight')[name])
    own = {name: param.grad for name, param in layer.layer.named_parameters()}
    expected = from_official(grads)
    if layer.layer.gate.w_noise is None:
        assert not expected.pop('gate.w_noise').any()
    assert own.keys() == expected.keys()
    pairs = [(name, own[name], expected[name]) for name in own]
    for name, a, b in [
        *pairs,
        ('x', x_grad, grads['x']),
        ('bias', layer.op.bias.grad, grads['bias']),
    ]:
        each = zip(a, b, strict=True) if name.startswith('experts') else [(a, b)]
        for one, other in each:
            error, size = (one - other).abs().max(), other.abs().max()
            assert error <= 1e-3 * size, f'{name}: {error} of {size}'


@layers(train=True)
def test_gate_and_load_equal_the_official_ones(golden, monkeypatch):
    layer, inputs, expected = Layer(golden), golden.tensors('input'), golden.tensors('output')
    noisy = golden.meta['config']['noisy_gating']
    seen = {}
    monkeypatch.setattr('rein_seg.peft.parts.mixture.balance', lambda *both: seen.update(both=both))
    if noisy:
        monkeypatch.setattr(layer.layer.gate, 'draw_noise', lambda like: inputs['noise'])
    d = layer.context.to_grid(nn.functional.linear(inputs['x'], layer.layer.lora_A))
    _, gates, _ = layer.layer.gate(d.mean((2, 3)))
    assert torch.equal(gates, expected['gates'])
    torch.testing.assert_close(seen['both'][0], expected['importance'], rtol=0, atol=1e-6)
    torch.testing.assert_close(seen['both'][1], expected['load'], rtol=1e-5, atol=1e-5)


def test_every_option_is_here():
    """The vectors kept in the repository cover both layouts, both modes, noise on and off."""
    kept = [p.values[0].meta['config'] for p in cases('conv_lora', 'conv_lora_linear')]
    assert {'L' in config['layout'] for config in kept} == {True, False}
    assert {config['mode'] for config in kept} == {'eval', 'train'}
    assert {config.get('noisy_gating') for config in kept} >= {True, False}
