"""Bilinear resizing by a factor or to a size, for necks and heads."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor


def resize_by(x: Tensor, factor: float) -> Tensor:
    """Resizes (B, C, H, W) bilinearly by a factor; odd sides are rounded down.

    By factor, as in the official code: resizing to a size samples odd sides at other places.

    Example:
        >>> import torch
        >>> from rein_seg.resize import resize_by
        >>> resize_by(torch.arange(8.0).view(1, 1, 2, 4), 0.5)  # the mean of 2 x 2
        tensor([[[[2.5000, 4.5000]]]])
        >>> resize_by(torch.zeros(1, 3, 5, 7), 0.5).shape
        torch.Size([1, 3, 2, 3])
    """
    if factor == 1:
        return x
    target = dict(scale_factor=factor)
    if min(x.shape[-2:]) * factor < 1:  # no whole pixel would be left
        target = dict(size=[max(1, int(side * factor)) for side in x.shape[-2:]])
    return F.interpolate(x, mode='bilinear', align_corners=False, **target)


def resize_to(x: Tensor, size: Sequence[int]) -> Tensor:
    """Resizes (B, C, H, W) bilinearly to (h, w); a map of this size stays as it is.

    Example:
        >>> import torch
        >>> from rein_seg.resize import resize_to
        >>> resize_to(torch.zeros(1, 3, 5, 7), (10, 7)).shape
        torch.Size([1, 3, 10, 7])
    """
    if tuple(x.shape[2:]) == tuple(size):
        return x
    return F.interpolate(x, size=tuple(size), mode='bilinear', align_corners=False)
