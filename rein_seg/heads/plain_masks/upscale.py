"""Enlarges the patch map of a plain vision transformer for masks.

B batch, C channels, H x W map.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.fast.dispatch import has_fast_form


class UpscaleBlock(nn.Module):
    """Doubles the sides: transposed convolution, GELU, depthwise convolution, norm over channels.

    Args:
        channels: C.

    Shapes:
        (B, C, H, W) -> (B, C, 2 H, 2 W).

    Source: Kerssies et al., "Your ViT is Secretly an Image Segmentation Model" (CVPR 2025), Sec.
    3.1. Parameters have the official names.

    Example:
        >>> import torch
        >>> from rein_seg.heads.plain_masks.upscale import UpscaleBlock
        >>> UpscaleBlock(8)(torch.randn(1, 8, 4, 6)).shape
        torch.Size([1, 8, 8, 12])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.ConvTranspose2d(channels, channels, kernel_size=2, stride=2)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.norm = nn.LayerNorm(channels, eps=1e-6)

    @has_fast_form('upscaled_rows')
    def forward(self, x: Tensor) -> Tensor:
        """Returns the map with twice the sides."""
        x = self.conv2(F.gelu(self.conv1(x)))
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def num_upscales(stride: int) -> int:
    """Returns how many blocks bring a map near stride 4, at least one.

    Args:
        stride: Pixels a step of the map.

    Example:
        >>> from rein_seg.heads.plain_masks.upscale import num_upscales
        >>> [num_upscales(stride) for stride in (8, 14, 16, 32)]
        [1, 1, 2, 3]
    """
    return max(1, int(math.log2(stride)) - 2)
