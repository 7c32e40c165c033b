"""Which dimension holds the channels, followed through a pass."""

import pytest
import torch
from torch import nn

from rein_seg.encoders.traced import record
from rein_seg.encoders.traced.flow import Flow
from rein_seg.encoders.traced.layouts import Layouts


class Apply(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 1)
        self.linear = nn.Linear(6, 6)
        self.function = function

    def forward(self, x):
        return self.function(self, self.conv(x))


@pytest.mark.parametrize(
    ('function', 'layout'),
    [
        (lambda m, x: x.relu(), 'NCHW'),
        (lambda m, x: x.permute(0, 2, 3, 1), 'NHWC'),
        (lambda m, x: m.linear(x.permute(0, 2, 3, 1)), 'NHWC'),
        (lambda m, x: x.flatten(2).transpose(1, 2), 'NLC'),
        (lambda m, x: m.linear(x.flatten(2).mT.contiguous()), 'NLC'),
        (lambda m, x: x.permute(0, 2, 3, 1).reshape(1, -1, 6), 'NLC'),
        (lambda m, x: x.permute(0, 2, 3, 1).view(1, 3, 2, 6, 6).transpose(1, 2), None),
        (lambda m, x: x.flatten(2), None),
        (lambda m, x: torch.nn.functional.pad(x, (0, 1, 0, 1)) * 2, 'NCHW'),
        (lambda m, x: x.reshape(1, 3, 2, 6, 6), None),
    ],
)
def test_the_channels_are_followed(function, layout):
    found = record(Apply(function), torch.randn(1, 3, 6, 6))
    assert Layouts(Flow(found)).of(found.outputs[0]) == layout
