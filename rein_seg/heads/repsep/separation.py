"""Separation: pixels move away from the mean of their window.

B batch, D width, H x W grid.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

WINDOW = 7


def window_mean(z: Tensor, size: int = WINDOW) -> Tensor:
    """Returns the mean of the window around each place; the border cuts windows.

    Args:
        z: (B, D, H, W).
        size: Side of the window, odd.

    Example:
        >>> import torch
        >>> from rein_seg.heads.repsep.separation import window_mean
        >>> window_mean(torch.tensor([[[[0.0, 2.0, 4.0]]]]), size=3)
        tensor([[[[1., 2., 3.]]]])
    """
    return F.avg_pool2d(z, size, stride=1, padding=size // 2, count_include_pad=False)


def separate(z: Tensor, strength: Tensor) -> Tensor:
    """Returns z + a (z - m), m the `window_mean`: at a = 1 the distance from it is doubled.

    Args:
        z: (B, D, H, W).
        strength: a, (B, 1, H, W), 0..1.

    Example:
        >>> import torch
        >>> from rein_seg.heads.repsep.separation import separate
        >>> separate(torch.tensor([[[[0.0, 6.0]]]]), torch.ones(1, 1, 1, 2))
        tensor([[[[-3.,  9.]]]])
    """
    return z + strength * (z - window_mean(z))


class Separation(nn.Module):
    """Separates with a strength a = sigmoid(W z + b) for each place; b starts at -2.

    Args:
        channels: D.

    Shapes:
        (B, D, H, W) -> (B, D, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Conv2d(channels, 1, 1)
        nn.init.constant_(self.gate.bias, -2.0)

    def forward(self, z: Tensor) -> Tensor:
        """Returns Y."""
        return separate(z, self.gate(z).sigmoid())
