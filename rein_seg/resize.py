"""Bilinear resizing, as necks and heads need it."""

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


def channels_last(x: Tensor) -> Tensor:
    """Lays (B, C, H, W) out with its channels last, as maps of a transformer have them.

    So a resize on a CPU takes a third of the time or less, and a sum of two maps meets one layout.
    Unlike ``contiguous`` it also mends the strides of a single image that PyTorch does not take for
    these.
    """
    batch, channels, height, width = x.shape
    rows = x.permute(0, 2, 3, 1).flatten()
    return rows.view(batch, height, width, channels).permute(0, 3, 1, 2)


def shrink(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resizes (B, C, H, W) bilinearly to (height, width).

    By an even whole factor a pixel is the mean of the four in the middle of its block. Read so it
    takes a tenth of the time that `F.interpolate` takes on a CPU, where that copies all of ``x``.
    """
    steps = [side // new for side, new in zip(x.shape[-2:], size, strict=True)]
    exact = [step * new for step, new in zip(steps, size, strict=True)] == list(x.shape[-2:])
    if not exact or any(step == 0 or step % 2 for step in steps):
        return F.interpolate(x, size=size, mode='bilinear', align_corners=False)
    down, across = steps
    rows = x[..., down // 2 - 1 :: down, :] + x[..., down // 2 :: down, :]
    return (rows[..., across // 2 - 1 :: across] + rows[..., across // 2 :: across]) / 4
