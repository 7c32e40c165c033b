"""The queries of MaskFormer: a transformer decoder on one map, then a class and a mask of each.

L layers, B batch, Q queries, S pixels of the map, D width, E width of the mask features.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.heads.mask2former.layers import sine_positions
from rein_seg.heads.mlp import MLP


class DecoderLayer(nn.Module):
    """Self-attention, cross-attention, feed-forward; after each a residual sum and a norm.

    Args:
        dims: D.
        num_heads: Heads of the attentions.
        hidden: Width of the feed-forward.
        dropout: Probability, in training.

    Source: Carion et al., "DETR" (ECCV 2020), App. A.3. Parameters have the official names.
    """

    def __init__(self, dims: int, num_heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        options = dict(dropout=dropout, batch_first=True)
        self.self_attn = nn.MultiheadAttention(dims, num_heads, **options)
        self.multihead_attn = nn.MultiheadAttention(dims, num_heads, **options)
        self.linear1, self.linear2 = nn.Linear(dims, hidden), nn.Linear(hidden, dims)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(dims) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, position: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Returns (B, Q, D).

        Args:
            x: (B, Q, D) content of the queries.
            position: (B, Q, D), added before each attention.
            keys: (B, S, D), the map with its positions.
            values: (B, S, D), the map alone.
        """
        query = x + position
        seen, _ = self.self_attn(query, query, x, need_weights=False)
        x = self.norm1(x + self.dropout(seen))
        seen, _ = self.multihead_attn(x + position, keys, values, need_weights=False)
        x = self.norm2(x + self.dropout(seen))
        out = self.linear2(self.dropout(F.relu(self.linear1(x))))
        return self.norm3(x + self.dropout(out))


class Decoder(nn.Module):
    """A stack of `DecoderLayer`, and one norm in front of all predictions."""

    def __init__(self, num_layers: int, dims: int, num_heads: int, hidden: int, dropout: float):
        super().__init__()
        self.layers = nn.ModuleList(
            DecoderLayer(dims, num_heads, hidden, dropout) for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(dims)

    def forward(self, position: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Returns the normed queries after each layer, (L, B, Q, D); their content starts at 0."""
        x, found = torch.zeros_like(position), []
        for layer in self.layers:
            x = layer(x, position, keys, values)
            found.append(self.norm(x))
        return torch.stack(found)


class QueryPredictor(nn.Module):
    """Reads the last map with learned queries.

    Args:
        in_channels: Of the map; other than D, a 1x1 convolution stands in front.
        class_embed: D -> what the classes are read from.
        embed_dims: D.
        mask_dims: E.
        num_queries: Q.
        num_layers: L.
        num_heads: Heads of the attentions.
        hidden: Width of the feed-forwards.
        dropout: Probability, in training.

    Source: Cheng et al., "MaskFormer" (NeurIPS 2021), Sec. 3.3. Parameters have the official names.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from rein_seg.heads.maskformer.predictor import QueryPredictor
        >>> predictor = QueryPredictor(4, nn.Linear(8, 3), embed_dims=8, mask_dims=6, num_queries=5,
        ...     num_layers=2, num_heads=2, hidden=16)
        >>> queries = predictor(torch.randn(1, 4, 2, 3))
        >>> queries.shape, predictor.mask_embed(queries).shape
        (torch.Size([2, 1, 5, 8]), torch.Size([2, 1, 5, 6]))
    """

    def __init__(
        self,
        in_channels: int,
        class_embed: nn.Module,
        *,
        embed_dims: int,
        mask_dims: int,
        num_queries: int,
        num_layers: int,
        num_heads: int,
        hidden: int,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        decoder = Decoder(num_layers, embed_dims, num_heads, hidden, dropout)
        for param in decoder.parameters():
            if param.dim() > 1:
                nn.init.xavier_uniform_(param)
        self.transformer = nn.ModuleDict({'decoder': decoder})
        self.query_embed = nn.Embedding(num_queries, embed_dims)
        self.input_proj: nn.Module = nn.Identity()
        if in_channels != embed_dims:
            self.input_proj = nn.Conv2d(in_channels, embed_dims, 1)
            nn.init.xavier_uniform_(self.input_proj.weight)
            nn.init.zeros_(self.input_proj.bias)
        self.class_embed = class_embed
        self.mask_embed = MLP(embed_dims, embed_dims, embed_dims, mask_dims)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the queries after each layer, (L, B, Q, D), of a (B, C, h, w) map."""
        x = self.input_proj(x)
        values = x.flatten(2).transpose(1, 2)
        keys = values + sine_positions(*x.shape[-2:], x.shape[1], like=x).to(x.dtype)
        position = self.query_embed.weight.expand(len(x), -1, -1)
        return self.transformer['decoder'](position, keys, values)
