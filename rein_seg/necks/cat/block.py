"""A transformer block with the names of PS-ViT and of most vision transformers.

B batch, N tokens, D width.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head self-attention, scaled by (D / heads)^-1/2.

    Args:
        dims: D.
        num_heads: Number of heads; divides D.
        qkv_bias: Whether queries, keys and values have a bias.

    Shapes:
        (B, N, D) -> (B, N, D).
    """

    def __init__(self, dims: int, num_heads: int, *, qkv_bias: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dims, 3 * dims, bias=qkv_bias)
        self.proj = nn.Linear(dims, dims)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the attended tokens."""
        parts = self.qkv(x).unflatten(-1, (3, self.num_heads, -1))  # (B, N, 3, heads, D / heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v)
        return self.proj(attended.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    """Linear, exact GELU, linear.

    Args:
        dims: D.
        hidden: Width in between.
    """

    def __init__(self, dims: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dims, hidden), nn.Linear(hidden, dims)

    def forward(self, x: Tensor) -> Tensor:
        """Returns (B, N, D) tokens."""
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """x + attention(norm(x)), then x + MLP(norm(x)).

    Args:
        dims: D.
        num_heads: Number of heads; divides D.
        mlp_ratio: Hidden width of the MLP divided by D.
        qkv_bias: Whether queries, keys and values have a bias.
        eps: Of both layer norms.

    Shapes:
        (B, N, D) -> (B, N, D).

    Example:
        >>> import torch
        >>> from rein_seg.necks.cat.block import Block
        >>> Block(8, 2, mlp_ratio=3, qkv_bias=False, eps=1e-5)(torch.zeros(1, 5, 8)).shape
        torch.Size([1, 5, 8])
    """

    def __init__(
        self, dims: int, num_heads: int, *, mlp_ratio: float, qkv_bias: bool, eps: float
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dims, eps=eps)
        self.attn = Attention(dims, num_heads, qkv_bias=qkv_bias)
        self.norm2 = nn.LayerNorm(dims, eps=eps)
        self.mlp = MLP(dims, int(mlp_ratio * dims))

    def forward(self, x: Tensor) -> Tensor:
        """Returns (B, N, D) tokens."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))
