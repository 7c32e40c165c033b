"""Bilinear resizing, against PyTorch's."""

import pytest
import torch
import torch.nn.functional as F

from rein_seg.resize import channels_last, shrink


@pytest.mark.parametrize(
    ('have', 'want'),
    [
        ((16, 24), (8, 12)),
        ((16, 24), (4, 3)),  # by four and by eight
        ((16, 24), (16, 12)),  # a side as it is
        ((15, 24), (5, 12)),  # by an odd factor
        ((17, 23), (8, 11)),  # by none that is whole
        ((4, 6), (8, 12)),  # larger
    ],
)
def test_shrinking_is_interpolation(have, want):
    x = torch.randn(2, 3, *have, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(x, size=want, mode='bilinear', align_corners=False)
    torch.testing.assert_close(shrink(x, want), expected)


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
