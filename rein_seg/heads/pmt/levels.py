"""Maps of several depths as one sequence of tokens of one width.

B batch, C_i channels of map i, C channels of the decoder, P prefix tokens, H x W grid of the
decoder, N = H W.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.resize import resize_to

TARGET_STRIDE = 16
Lateral = Literal['mlp', 'linear', 'identity']


def decoder_map(channels: Sequence[int], strides: Sequence[int]) -> int:
    """Returns the index of the map whose grid and width the decoder takes.

    It is the map whose stride is nearest to 16, of maps of one stride the widest.

    Args:
        channels: C_i.
        strides: Pixels a step of each map.

    Example:
        >>> from rein_seg.heads.pmt.levels import decoder_map
        >>> decoder_map([96, 192, 384, 768], [4, 8, 16, 32])
        2
        >>> decoder_map([768, 768, 256], [16, 16, 16])  # the last map of SAM behind its neck
        0
    """

    def rank(index: int) -> tuple[float, int, int]:
        return abs(math.log2(strides[index] / TARGET_STRIDE)), strides[index], -channels[index]

    return min(range(len(channels)), key=rank)


def lateral_projection(kind: Lateral, channels: int) -> nn.Module:
    """Returns a projection C -> C: ``mlp`` with half the width inside, ``linear``, ``identity``.

    Example:
        >>> from rein_seg.heads.pmt.levels import lateral_projection
        >>> [name for name, _ in lateral_projection('mlp', 8).named_parameters()]
        ['0.weight', '0.bias', '2.weight', '2.bias']
    """
    if kind == 'mlp':
        half = channels // 2
        return nn.Sequential(nn.Linear(channels, half), nn.GELU(), nn.Linear(half, channels))
    return nn.Linear(channels, channels) if kind == 'linear' else nn.Identity()


def level_tokens(level: Tensor, prefix: Tensor | None, grid: Sequence[int]) -> Tensor:
    """Returns the (B, P+N, C_i) tokens of a map, at the decoder's grid.

    A larger map is averaged over the pixels of each step, a smaller map is resized bilinearly.

    Args:
        level: (B, C_i, H_i, W_i).
        prefix: (B, P, C_i), or None.
        grid: (H, W).

    Example:
        >>> import torch
        >>> from rein_seg.heads.pmt.levels import level_tokens
        >>> level_tokens(torch.arange(8.0).view(1, 1, 2, 4), None, (1, 2)).flatten()
        tensor([2.5000, 4.5000])
        >>> level_tokens(torch.zeros(1, 8, 2, 4), torch.zeros(1, 5, 8), (2, 4)).shape
        torch.Size([1, 13, 8])
    """
    if level.shape[2] > grid[0] or level.shape[3] > grid[1]:
        level = F.adaptive_avg_pool2d(level, tuple(grid))
    tokens = resize_to(level, grid).flatten(2).transpose(1, 2)
    return tokens if prefix is None else torch.cat((prefix.to(tokens.dtype), tokens), dim=1)
