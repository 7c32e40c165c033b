"""Shrinking by whole factors against PyTorch's resize."""

import pytest
import torch
import torch.nn.functional as F

from rein_seg.fast.shrink import shrink


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
