"""Padding by the size of the input, beside timm's own."""

import pytest
import torch
from timm.layers import Conv2dSame
from torch import nn

from rein_seg.encoders.traced.padding import pad_same


@pytest.mark.parametrize('size', [(8, 9), (5, 12), (1, 3)])
@pytest.mark.parametrize(('kernel', 'stride', 'dilation'), [(3, 2, 1), (5, 2, 1), (3, 1, 2)])
def test_the_plain_convolution_of_the_padded_map_is_that_of_timm(size, kernel, stride, dilation):
    reference = Conv2dSame(2, 4, kernel, stride=stride, dilation=dilation)
    x = torch.randn(2, 2, *size)
    plain = nn.functional.conv2d(
        pad_same(reference, x), reference.weight, reference.bias, stride, 0, dilation
    )
    assert torch.equal(plain, reference(x))
