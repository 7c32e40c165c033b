"""The block of the feature pyramid transformer: attention to a reduced map, then a feed-forward.

B batch, H x W map, N = H W tokens, C channels, n heads, r ratio of the reduction, m ratio of the
feed-forward.
"""

from __future__ import annotations

import torch.nn.functional as F
from mmcv.cnn.bricks import DropPath
from torch import Tensor, nn

from rein_seg.encoders.pgt.blocks import FeedForward
from rein_seg.encoders.truncated import TruncatedLinear

Grid = tuple[int, int]


class ReducedAttention(nn.Module):
    """Tokens attend to a map that an r x r convolution of stride r reduces, with a norm behind it.

    Args:
        channels: C.
        num_heads: n, which divides C.
        ratio: r; 1 reduces nothing. Rows and columns that fill no kernel are left out.

    Shapes:
        (B, N, C) and (H, W) -> (B, N, C).
    """

    def __init__(self, channels: int, num_heads: int, ratio: int) -> None:
        super().__init__()
        self.num_heads, self.ratio = num_heads, ratio
        self.q = TruncatedLinear(channels, channels)
        self.kv = TruncatedLinear(channels, 2 * channels)
        self.proj = TruncatedLinear(channels, channels)
        if ratio > 1:
            self.sr = nn.Conv2d(channels, channels, ratio, stride=ratio)
            self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor, grid: Grid) -> Tensor:
        """Returns the branch's result."""
        keys = x
        if self.ratio > 1:
            reduced = self.sr(x.transpose(1, 2).unflatten(2, grid))
            keys = self.norm(reduced.flatten(2).transpose(1, 2))
        parts = (self.q(x), *self.kv(keys).chunk(2, dim=-1))
        q, k, v = (part.unflatten(2, (self.num_heads, -1)).transpose(1, 2) for part in parts)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.proj(y.transpose(1, 2).flatten(2))


class FPTBlock(nn.Module):
    """x += attn(norm1 x), x += ffn(norm2 x).

    Args:
        channels: C.
        num_heads: n.
        ratio: r.
        mlp_ratio: m.
        drop_path: Rate of stochastic depth of both branches.

    Shapes:
        (B, N, C) and (H, W) -> (B, N, C).

    Source: the block of PVT v1 (Wang et al., ICCV 2021). Differs from it: all norms have eps 1e-5,
    as in the pull request of FTN.

    Example:
        >>> import torch
        >>> from rein_seg.heads.fpt.block import FPTBlock
        >>> FPTBlock(8, 2, ratio=2)(torch.randn(1, 24, 8), (4, 6)).shape
        torch.Size([1, 24, 8])
    """

    def __init__(
        self,
        channels: int,
        num_heads: int,
        *,
        ratio: int,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn = ReducedAttention(channels, num_heads, ratio)
        self.norm2 = nn.LayerNorm(channels)
        self.ffn = FeedForward(channels, int(mlp_ratio * channels))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, grid: Grid) -> Tensor:
        """Returns the tokens behind the block."""
        x = x + self.drop_path(self.attn(self.norm1(x), grid))
        return x + self.drop_path(self.ffn(self.norm2(x)))
