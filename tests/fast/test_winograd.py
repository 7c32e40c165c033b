"""Winograd's products against a convolution, with their gradients and rounding."""

import pytest
import torch
import torch.nn.functional as F

from rein_seg.fast.winograd import Winograd, applies
from rein_seg.heads.mask2former.layers import ConvGN
from tests.fast.forms import assert_form_is_plain


def tensors(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 5, 8, 12, generator=generator, dtype=dtype, requires_grad=True)
    weight = torch.randn(3, 5, 3, 3, generator=generator, dtype=dtype, requires_grad=True)
    return x, weight


def gradients(function, x, weight):
    out = function(x, weight)
    slope = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    return out, *torch.autograd.grad(out, (x, weight), slope.to(out.dtype))


def plain(x, weight):
    return F.conv2d(x, weight, padding=1)


def test_equals_a_convolution_with_its_gradients():
    x, weight = tensors()
    found = gradients(Winograd.apply, x, weight)
    for ours, expected in zip(found, gradients(plain, x, weight), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=2e-5)


def test_rounding_is_that_of_a_convolution():
    """Of many channels; with the points 0, 1, -1, 2 and -2 it would be about three times that.

    Of a map with its channels last, as the pixel decoder has it: of others PyTorch's own error is
    a quarter of this one's in some of its versions.
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 256, 32, 32, generator=generator).to(memory_format=torch.channels_last)
    weight = torch.randn(32, 256, 3, 3, generator=generator)
    exact = plain(x.double(), weight.double())
    ours, theirs = ((function(x, weight) - exact).std() for function in (Winograd.apply, plain))
    assert ours < 1.6 * theirs


@pytest.mark.parametrize('frozen', [0, 1])
def test_what_is_frozen_gets_no_gradient(frozen):
    inputs = list(tensors())
    inputs[frozen] = inputs[frozen].detach()
    Winograd.apply(*inputs).sum().backward()
    assert inputs[frozen].grad is None
    assert inputs[1 - frozen].grad.shape == inputs[1 - frozen].shape


def test_layout_of_the_input_does_not_matter():
    x, weight = tensors()
    last = x.detach().to(memory_format=torch.channels_last)
    torch.testing.assert_close(Winograd.apply(last, weight), Winograd.apply(x, weight))


def conv(channels=128):
    return ConvGN(channels, channels, kernel=3, groups=4, bias=True)


def test_is_taken_where_it_pays():
    module = conv()
    assert applies(module, torch.zeros(1, 128, 64, 64))
    assert not applies(module, torch.zeros(1, 128, 66, 64))
    assert not applies(module, torch.zeros(1, 128, 32, 32))
    assert not applies(conv(64), torch.zeros(1, 64, 64, 64))
    assert not applies(ConvGN(128, 128, groups=4, bias=True), torch.zeros(1, 128, 64, 64))
    assert not applies(conv().double(), torch.zeros(1, 128, 64, 64, dtype=torch.float64))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert not applies(module, torch.zeros(1, 128, 64, 64))


def test_a_module_gives_the_same_either_way():
    module, x = conv(), torch.randn(1, 128, 64, 64)
    assert 'Winograd' in type(module.convolve(x).grad_fn.next_functions[0][0]).__name__
    assert_form_is_plain(module, [x], name='winograd', atol=1e-4)
