"""Convolutions of HLG's layers, under official names, and the way between maps and tokens.

B batch, C' and C channels before and after, H x W map, N = H W, P prompts, h heads.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.encoders.hlg.attention import attend

Pair = tuple[int, int]


class ConvMLP(nn.Module):
    """Computes conv1x1, depthwise 3x3, conv1x1, with batch norm and GELU between them.

    Args:
        inputs: C'; the hidden width is 4 C'.
        outputs: C.
        stride: Of the depthwise convolution.

    Shapes:
        (B, C', H, W) -> (B, C, H / stride, W / stride), rounded up.
    """

    def __init__(self, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        hidden = 4 * inputs
        self.fc1 = nn.Conv2d(inputs, hidden, 1)
        self.norm1 = nn.BatchNorm2d(hidden)
        self.fc2 = nn.Conv2d(hidden, hidden, 3, stride, padding=1, groups=hidden)
        self.norm2 = nn.BatchNorm2d(hidden)
        self.fc3 = nn.Conv2d(hidden, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the map."""
        x = F.gelu(self.norm1(self.fc1(x)))
        return self.fc3(F.gelu(self.norm2(self.fc2(x))))


class DownProjection(nn.Module):
    """The shortcut of a layer that halves the map: a strided convolution of C' groups.

    Shapes:
        (B, C', H, W) -> (B, C, H / 2, W / 2), rounded up.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        conv = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, groups=inputs)
        self.proj = nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.GELU())

    def forward(self, x: Tensor) -> Tensor:
        """Returns the map at half the resolution."""
        return self.proj(x)


class GlobalAttention(nn.Module):
    """Attends and projects: W_o softmax(q k^T scale + bias) v."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj = nn.Linear(channels, channels)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        """Returns (B, P+N, C); see `attend`."""
        return self.proj(attend(q, k, v, bias))


def smoothing(channels: int, norm: Callable[[int], nn.Module] = nn.BatchNorm2d) -> nn.ModuleList:
    """Returns the spatial smoothing S, (B, C, H, W) -> the same, in a list under official names."""
    inner = channels // 4
    return nn.ModuleList(
        [
            nn.Sequential(
                nn.Conv2d(channels, inner, 1),
                norm(inner),
                nn.GELU(),
                nn.Conv2d(inner, inner, 3, padding=1),
                norm(inner),
                nn.GELU(),
                nn.Conv2d(inner, channels, 1),
                norm(channels),
            )
        ]
    )


def to_map(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """Returns (B, N, C) tokens as (B, C, H, W)."""
    return tokens.transpose(1, 2).unflatten(2, grid)


def beside(count: int, tokens: Tensor) -> Tensor:
    """Returns (B, P+N, C), zero for the P = ``count`` first, of (B, N, C) tokens."""
    return F.pad(tokens, (0, 0, count, 0)) if count else tokens


def crop_tokens(tokens: Tensor, padded: Pair, size: Pair) -> Tensor:
    """Returns the (B, P+N, C) tokens of a padded map without its padding."""
    if padded == size:
        return tokens
    count = tokens.shape[1] - padded[0] * padded[1]
    pixels = tokens[:, count:].unflatten(1, padded)[:, : size[0], : size[1]].flatten(1, 2)
    return torch.cat((tokens[:, :count], pixels), dim=1)


def pad_tokens(tokens: Tensor, size: Pair, padded: Pair) -> Tensor:
    """Returns the (B, P+N, C) tokens of a map as those of a padded map, zero on the padding."""
    if padded == size:
        return tokens
    count = tokens.shape[1] - size[0] * size[1]
    sides = (0, 0, 0, padded[1] - size[1], 0, padded[0] - size[0])
    pixels = F.pad(tokens[:, count:].unflatten(1, size), sides).flatten(1, 2)
    return torch.cat((tokens[:, :count], pixels), dim=1)
