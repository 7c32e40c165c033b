"""Bilinear resizing by a factor, as necks and heads need it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def resize_by(x: Tensor, factor: float) -> Tensor:
    """Resizes (B, C, H, W) bilinearly; 0.5 is the mean of 2 x 2, odd sides floor.

    By factor, as officially: an odd side halved by size would be sampled at other places.
    """
    if factor == 1:
        return x
    target = dict(scale_factor=factor)
    if min(x.shape[-2:]) * factor < 1:  # no whole pixel would be left
        target = dict(size=[max(1, int(side * factor)) for side in x.shape[-2:]])
    return F.interpolate(x, mode='bilinear', align_corners=False, **target)
