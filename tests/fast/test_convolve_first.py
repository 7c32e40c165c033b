"""A convolution before or after the resize of its map."""

import pytest
import torch

from rein_seg.heads.mask2former.layers import ConvGN
from tests.fast.forms import assert_form_is_plain


@pytest.mark.parametrize('scale', [4, 2, 1, 0.5])
def test_convolution_and_resize_commute(scale):
    conv, x = ConvGN(6, 8, groups=2, bias=True), torch.randn(2, 6, 5, 7)
    assert_form_is_plain(conv, [x], scale, name='convolve_first')


def test_the_smaller_map_is_convolved():
    conv, seen = ConvGN(6, 8, groups=2, bias=True), []
    conv.conv.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape[-2:]))
    for scale in (2, 0.5):
        conv(torch.randn(1, 6, 4, 6), scale)
    assert seen == [(4, 6), (2, 3)]
