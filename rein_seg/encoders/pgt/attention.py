"""Pyramid group attention: full attention in each of g x g rectangles of the map.

B batch, H x W grid, N = H W tokens, M prompts, C channels, g groups along a side.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.encoders.pgt.groups import Groups
from rein_seg.encoders.truncated import TruncatedLinear
from rein_seg.structures import RunState

Padding = Literal['intent', 'official']


class PyramidGroupAttention(nn.Module):
    """Attends in g x g rectangles of H/g x W/g tokens.

    Args:
        embed_dims: C.
        num_heads: Number of heads, which divides C.
        group_num: Number of groups, g^2.
        state: State of the encoder, with the grid and the number of prompts in front of the map.
        padding: For sides that g does not divide. ``intent``: at the bottom and at the right each
            side gets the tokens that it lacks, and no token attends to them. ``official``: if one
            side does not divide, both get g minus the rest of their division, so a side that
            divides gets g further tokens; they are zeros in front of ``q`` and ``kv``, and tokens
            attend to them.
        qkv_bias: Whether ``q`` and ``kv`` have biases.

    Shapes:
        (B, M+N, C) -> (B, M+N, C). Prompts are keys in every group; the result of a prompt is the
        mean over the groups that hold tokens of the map.

    Source: Wu et al., "Fully Transformer Networks for Semantic Image Segmentation" (2021), Sec.
    3.2; ``official`` as its pull request to mmsegmentation computes it. Differs from it: prompts
    are ours.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.pgt.attention import PyramidGroupAttention
        >>> from rein_seg.structures import RunState
        >>> state = RunState(grid=(5, 6))
        >>> attention = PyramidGroupAttention(16, 2, 4, state=state)
        >>> attention(torch.randn(1, 30, 16)).shape
        torch.Size([1, 30, 16])
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        group_num: int,
        *,
        state: RunState,
        padding: Padding = 'intent',
        qkv_bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_heads, self.side, self.padding = num_heads, math.isqrt(group_num), padding
        self.state = state
        self.q = TruncatedLinear(embed_dims, embed_dims, bias=qkv_bias)
        self.kv = TruncatedLinear(embed_dims, 2 * embed_dims, bias=qkv_bias)
        self.proj = TruncatedLinear(embed_dims, embed_dims)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the branch's result for the prompts and the map of the encoder's state."""
        grid, prompts = self.state.grid, self.state.num_prompts
        if self.padding == 'official':
            x, self.state.grid = pad_official(x, grid, prompts, self.side)
        groups = Groups(self.side, self.num_heads, prompts, self.state.grid)
        q, k, v = (groups.cut(part) for part in (self.q(x), *self.kv(x).chunk(2, dim=-1)))
        y = groups.join(F.scaled_dot_product_attention(q, k, v, attn_mask=groups.mask(q)))
        y, self.state.grid = crop(y, self.state.grid, grid, prompts), grid
        return self.proj(y)


def pad_official(
    x: Tensor, grid: tuple[int, int], prompts: int, side: int
) -> tuple[Tensor, tuple[int, int]]:
    """Pads a map with zeros as the pull request does.

    Args:
        x: (B, M+N, C).
        grid: (H, W).
        prompts: M.
        side: g.

    Returns:
        The longer sequence, and its grid.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.pgt.attention import pad_official
        >>> pad_official(torch.zeros(1, 80, 4), (8, 10), 0, side=4)[1]
        (12, 12)
    """
    if all(length % side == 0 for length in grid):
        return x, grid
    below, right = (side - length % side for length in grid)
    tokens = F.pad(x[:, prompts:].unflatten(1, grid), (0, 0, 0, right, 0, below))
    return torch.cat((x[:, :prompts], tokens.flatten(1, 2)), dim=1), tuple(tokens.shape[1:3])


def crop(x: Tensor, grid: tuple[int, int], smaller: tuple[int, int], prompts: int) -> Tensor:
    """Returns the prompts and the upper left ``smaller`` part of a map, as a sequence."""
    if grid == smaller:
        return x
    tokens = x[:, prompts:].unflatten(1, grid)[:, : smaller[0], : smaller[1]]
    return torch.cat((x[:, :prompts], tokens.flatten(1, 2)), dim=1)
