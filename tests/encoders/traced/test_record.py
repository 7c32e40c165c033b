"""The record of a pass: values, functions, calls, and that nothing of it stays."""

import torch
from torch import nn

from rein_seg.encoders.traced import record


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.act(self.conv(x) + x)


def test_functions_and_calls_are_in_order():
    found = record(Residual(), torch.randn(1, 4, 3, 3))
    assert [op.name for op in found.ops] == ['conv2d', 'add', 'relu']
    assert [(call.name, call.start, call.stop) for call in found.calls] == [
        ('', 0, 3),
        ('conv', 0, 1),
        ('act', 2, 3),
    ]
    assert [found.calls[op.call].name for op in found.ops] == ['conv', '', 'act']
    assert found.ops[0].params == ('conv.weight', 'conv.bias')
    assert found.calls[0].output == found.outputs[0] == found.ops[2].outputs[0]


def test_a_function_in_place_makes_a_new_value_of_the_same_tensor():
    found = record(Residual(), torch.randn(1, 4, 3, 3))
    before, after = found.ops[1].outputs[0], found.ops[2].outputs[0]
    assert before != after
    assert found.tensor(before) is found.tensor(after)


def test_a_function_that_returns_its_input_makes_no_value():
    network = nn.Sequential(nn.Dropout(0.5), nn.Identity(), nn.Conv2d(3, 4, 1))
    found = record(network, torch.randn(1, 3, 2, 2))
    assert [op.name for op in found.ops] == ['conv2d']
    assert found.calls[1].output == found.calls[2].output == found.image


def test_modes_and_hooks_are_as_before():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), Residual())
    network[1].eval()
    modes = [module.training for module in network.modules()]
    before = {key: value.clone() for key, value in network.state_dict().items()}
    record(network, torch.randn(2, 3, 4, 4))
    assert [module.training for module in network.modules()] == modes
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


def test_lists_of_outputs_and_models_without_values():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x):
            y = self.conv(x)
            return [y, y.relu()]

    with torch.device('meta'):
        network = Two()
        found = record(network, torch.zeros(1, 3, 2, 2))
    assert found.outputs == (found.ops[0].outputs[0], found.ops[1].outputs[0])
    assert found.calls[0].outputs == found.outputs
