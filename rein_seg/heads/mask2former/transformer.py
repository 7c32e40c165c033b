"""The decoder: queries look at the pixels inside their own masks.

L predictions, B batch, Q queries, S rows of one level, D width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from rein_seg.heads.mask2former.layers import FFN, Attention


class DecoderLayer(nn.Module):
    """Masked cross-attention, self-attention, FFN; after each a residual sum and a norm.

    Source: Cheng et al., "Mask2Former" (CVPR 2022), Sec. 3.2.1.
    """

    def __init__(self, embed_dims: int, num_heads: int, hidden: int) -> None:
        super().__init__()
        self.self_attn = Attention(embed_dims, num_heads)
        self.cross_attn = Attention(embed_dims, num_heads)
        self.ffn = FFN(embed_dims, hidden)
        self.norms = nn.ModuleList(nn.LayerNorm(embed_dims) for _ in range(3))

    def forward(
        self, x: Tensor, position: Tensor, key: Tensor, value: Tensor, mask: Tensor
    ) -> Tensor:
        """Returns (B, Q, D).

        Args:
            x: (B, Q, D) content of the queries.
            position: (B, Q, D) their position, added before each attention.
            key: (B, S, D) memory with positions.
            value: (B, S, D) memory without.
            mask: (B, 1, Q, S), True where a query may look.
        """
        x = self.norms[0](x + self.cross_attn(x + position, key, value, mask))
        query = x + position
        x = self.norms[1](x + self.self_attn(query, query, x, None))
        return self.norms[2](x + self.ffn(x))


Look = Callable[[Tensor, int], Tensor]


class TransformerDecoder(nn.Module):
    """A stack of `DecoderLayer` and the norm before each prediction; layers take levels in turn."""

    def __init__(self, num_layers: int, embed_dims: int, num_heads: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            DecoderLayer(embed_dims, num_heads, hidden) for _ in range(num_layers)
        )
        self.post_norm = nn.LayerNorm(embed_dims)
        for param in self.layers.parameters():
            if param.dim() > 1:
                nn.init.xavier_normal_(param)

    def forward(
        self, x: Tensor, position: Tensor, keys: list[Tensor], values: list[Tensor], look: Look
    ) -> Tensor:
        """Returns the normed queries of all predictions, (L, B, Q, D): one before the first layer.

        Args:
            x: (B, Q, D) content of the queries.
            position: (B, Q, D).
            keys: (B, S, D) of each level.
            values: (B, S, D) of each level.
            look: Returns the (B, 1, Q, S) attention mask of normed queries in one level, by index.
        """
        queries = [self.post_norm(x)]
        for i, layer in enumerate(self.layers):
            level = i % len(keys)
            with torch.no_grad():
                mask = look(queries[-1], level)
            x = layer(x, position, keys[level], values[level], mask)
            queries.append(self.post_norm(x))
        return torch.stack(queries)
