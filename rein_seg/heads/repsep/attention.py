"""Discriminative cross-attention: a query for each class reads the map.

B batch, K classes, D width, n heads, N = H W places.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention that also returns its logits.

    Args:
        channels: D.
        num_heads: n, which divides D.

    Shapes:
        queries (B, K, D) and keys (B, N, D) -> (B, K, D) and logits (B, n, K, N).
    """

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q, self.k, self.v, self.proj = (nn.Linear(channels, channels) for _ in range(4))

    def forward(self, queries: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the result and the logits before their softmax."""
        parts = (self.q(queries), self.k(keys), self.v(keys))
        q, k, v = (part.unflatten(2, (self.num_heads, -1)).transpose(1, 2) for part in parts)
        logits = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])
        out = logits.softmax(-1) @ v
        return self.proj(out.transpose(1, 2).flatten(2)), logits


class ClassLayer(nn.Module):
    """r += cross(LN r, Y), r += self(LN r), r += MLP(LN r).

    Args:
        channels: D.
        num_heads: n.

    Shapes:
        r (B, K, D) and Y (B, N, D) -> r (B, K, D) and the heads' mean of the cross-attention's
        logits (B, K, N).

    Example:
        >>> import torch
        >>> from rein_seg.heads.repsep.attention import ClassLayer
        >>> r, logits = ClassLayer(8, 2)(torch.randn(1, 3, 8), torch.randn(1, 20, 8))
        >>> r.shape, logits.shape
        (torch.Size([1, 3, 8]), torch.Size([1, 3, 20]))
    """

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        self.cross_norm, self.self_norm, self.mlp_norm = (nn.LayerNorm(channels) for _ in range(3))
        self.cross_attn = Attention(channels, num_heads)
        self.self_attn = Attention(channels, num_heads)
        self.fc1, self.fc2 = nn.Linear(channels, 4 * channels), nn.Linear(4 * channels, channels)

    def forward(self, r: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the queries behind the layer, and what they look at."""
        read, logits = self.cross_attn(self.cross_norm(r), y)
        r = r + read
        tokens = self.self_norm(r)
        r = r + self.self_attn(tokens, tokens)[0]
        return r + self.fc2(F.gelu(self.fc1(self.mlp_norm(r)))), logits.mean(1)
