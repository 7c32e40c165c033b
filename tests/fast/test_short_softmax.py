"""Softmax over a few values against PyTorch's."""

from functools import partial

import pytest
import torch

from rein_seg.fast.short_softmax import applies, softmax


@pytest.mark.parametrize('length', [1, 12, 16])
def test_a_short_softmax_is_a_softmax(length):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 7, length, generator=generator) * 30
    x[0, 0] += 200  # exp of it would be infinite
    slope = torch.randn(x.shape, generator=generator)
    found = []
    for function in (softmax, partial(torch.softmax, dim=-1)):
        leaf = x.clone().requires_grad_()
        out = function(leaf)
        found.append((out, *torch.autograd.grad(out, leaf, slope)))
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-6)


def test_applies_below_sixteen_values_on_a_cpu():
    assert applies(torch.zeros(2, 15))
    assert not applies(torch.zeros(2, 16))
    assert not applies(torch.zeros(2, 15, device='meta'))
