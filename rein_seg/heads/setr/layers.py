"""Layers of SETR's decoders.

B batch, C channels, H x W map.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from torch import Tensor, nn


def norm_map(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """Applies a layer norm over the channels of a (B, C, H, W) map."""
    return norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def resize_by(x: Tensor, factor: int, *, align_corners: bool = False) -> Tensor:
    """Resizes a (B, C, H, W) map to (B, C, factor H, factor W), bilinearly."""
    if factor == 1:
        return x
    size = tuple(factor * side for side in x.shape[-2:])
    return F.interpolate(x, size=size, mode='bilinear', align_corners=align_corners)


def conv_norm_relu(
    in_channels: int, out_channels: int, kernel_size: int, norm_cfg: Mapping[str, Any]
) -> list[nn.Module]:
    """Returns a convolution without bias that keeps the size, a norm and a ReLU."""
    padding = kernel_size // 2
    return [
        nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding, bias=False),
        build_norm_layer(dict(norm_cfg), out_channels)[1],
        nn.ReLU(),
    ]
