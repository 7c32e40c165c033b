"""Uniform points on a CPU, four coordinates from each random number of 64 bits.

A CPU draws its numbers one after the other. Measured: candidates of 110 masks 36 -> 20 ms.

It draws other points than the plain form from the same seed, with the same distribution.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


def applies(draws: Any, masks: int, number: int, device: torch.device) -> bool:
    """Tells whether the points are drawn on a CPU."""
    return device.type == 'cpu'


def candidates(draws: Any, masks: int, number: int, device: torch.device) -> Tensor:
    """Returns (masks, number, 2) points in 0..1, on a grid of 65536 x 65536.

    Example:
        >>> import torch
        >>> from rein_seg.fast.short_draws import candidates
        >>> candidates(None, 2, 500, torch.device('cpu')).mean().round(decimals=1).item()
        0.5
    """
    shape = (masks, number, 2)
    total = math.prod(shape)
    bits = torch.empty((total + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    steps = bits.view(torch.int16)[:total].view(shape)
    return steps.float().add_(2**15 + 0.5).mul_(2**-16)
