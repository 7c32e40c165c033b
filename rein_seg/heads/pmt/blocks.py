"""Transformer blocks of PMT's decoder, with DINOv3's parameter names.

B batch, h heads, C channels, d = C / h, Q queries, P prefix tokens, N patches, T = Q + P + N
tokens, in this order.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.encoders.masked_attention import attend as attend_rows
from rein_seg.heads.pmt.rotary import Table, rotate
from rein_seg.structures import RowMask


class LayerScale(nn.Module):
    """Multiplies each channel with a learned factor, which starts at 1.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.lambda1 = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Returns the scaled (..., C)."""
        return x * self.lambda1


class Attention(nn.Module):
    """Self-attention with rotary positions of the patches and masks of the queries.

    Args:
        channels: C.
        num_heads: h.
    """

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q_proj = nn.Linear(channels, channels)
        self.k_proj = nn.Linear(channels, channels, bias=False)
        self.v_proj = nn.Linear(channels, channels)
        self.o_proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor, table: Table, look: Tensor | None) -> Tensor:
        """Returns (B, T, C); see `DecoderBlock`."""
        projections = (self.q_proj, self.k_proj, self.v_proj)
        q, k, v = (p(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for p in projections)
        x = attend(rotate(q, table), rotate(k, table), v, look)
        return self.o_proj(x.transpose(1, 2).flatten(2))


def attend(q: Tensor, k: Tensor, v: Tensor, look: Tensor | None) -> Tensor:
    """Computes the attention of (B, h, T, d) tokens, of which the first are the queries.

    Args:
        q: What tokens look for.
        k: What tokens are found by.
        v: What tokens give.
        look: (B, Q, N) bool: which patches each query attends to; None for all. Everything else is
            open.
    """
    if look is None:
        return F.scaled_dot_product_attention(q, k, v)
    others = k.shape[2] - look.shape[2]
    rows = RowMask(0, torch.cat((look.new_ones(*look.shape[:2], others), look), dim=2))
    return attend_rows(F.scaled_dot_product_attention, q, k, v, rows)


class MLP(nn.Module):
    """Linear, GELU, linear.

    Args:
        channels: C.
        hidden: Width between.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.up_proj = nn.Linear(channels, hidden)
        self.down_proj = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Returns (..., C)."""
        return self.down_proj(F.gelu(self.up_proj(x)))


class DecoderBlock(nn.Module):
    """A pre-norm block on the joint sequence of queries, prefix and patches.

    Args:
        channels: C.
        num_heads: h.
        hidden: Width of the feed-forward.

    Shapes:
        (B, T, C), table of the patches (N, d), look (B, Q, N) bool or None -> (B, T, C).

    Example:
        >>> import torch
        >>> from rein_seg.heads.pmt.blocks import DecoderBlock
        >>> from rein_seg.heads.pmt.rotary import rotary_table
        >>> block = DecoderBlock(8, num_heads=2, hidden=8)
        >>> tokens = torch.randn(1, 3 + 6, 8)  # 3 queries, 2 x 3 patches
        >>> block(tokens, rotary_table((2, 3), 4), torch.zeros(1, 3, 6, dtype=torch.bool)).shape
        torch.Size([1, 9, 8])
    """

    def __init__(self, channels: int, *, num_heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attention = Attention(channels, num_heads)
        self.layer_scale1 = LayerScale(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = MLP(channels, hidden)
        self.layer_scale2 = LayerScale(channels)

    def forward(self, x: Tensor, table: Table, look: Tensor | None = None) -> Tensor:
        """Returns the tokens after attention and feed-forward."""
        x = x + self.layer_scale1(self.attention(self.norm1(x), table, look))
        return x + self.layer_scale2(self.mlp(self.norm2(x)))
