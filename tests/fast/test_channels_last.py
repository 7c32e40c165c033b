"""Maps with channels last: strides, gradients, and the resize."""

import pytest
import torch
import torch.nn.functional as F

from rein_seg.fast.channels_last import channels_last
from rein_seg.heads.mask2former.layers import resize_to
from tests.fast.forms import assert_form_is_plain


@pytest.mark.parametrize('batch', [1, 2])
def test_channels_last_is_what_pytorch_takes_for_it(batch):
    """Also one image cut out of a sequence, of which ``contiguous`` keeps strides of its own."""
    tokens = torch.randn(batch, 1 + 12, 5)
    x = tokens[:, 1:].transpose(1, 2).unflatten(2, (3, 4))
    last = channels_last(x)
    assert torch.equal(last, x)
    assert last.stride() == (60, 1, 20, 5)
    assert F.interpolate(last, scale_factor=2, mode='bilinear').stride() == (240, 1, 40, 5)


def test_channels_last_of_maps_in_any_order():
    x = torch.randn(2, 5, 3, 4, requires_grad=True)
    last = channels_last(x)
    assert last.stride() == (60, 1, 20, 5)
    assert torch.equal(torch.autograd.grad((last * last).sum(), x)[0], 2 * x)


@pytest.mark.parametrize('size', [(6, 8), (2, 2), (5, 7)])
def test_the_resize_is_the_plain_one(size):
    x = torch.randn(2, 5, 3, 4)
    assert_form_is_plain(resize_to, [x], size, name='channels_last')
