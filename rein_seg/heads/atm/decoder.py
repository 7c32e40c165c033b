"""The decoder of ATM: queries of classes attend to patches, and their scores are the masks.

B batch, K queries, N patches, C width.
"""

from __future__ import annotations

from torch import Tensor, nn

_READ_LAST = ('multihead_attn.q.', 'multihead_attn.k.')
_NEVER_READ = ('self_attn.', 'norm1.')


class MaskAttention(nn.Module):
    """Multi-head attention that also gives its scores, the mean over the heads, as masks.

    Args:
        dims: C.
        num_heads: Number of heads.
        dropout: Probability of an attention weight, in training.
        scores_only: Builds what the scores need alone: no values, no output projection.
    """

    def __init__(
        self, dims: int, num_heads: int, dropout: float, *, scores_only: bool = False
    ) -> None:
        super().__init__()
        self.num_heads, self.scale = num_heads, (dims // num_heads) ** -0.5
        self.q, self.k = nn.Linear(dims, dims), nn.Linear(dims, dims)
        if not scores_only:
            self.v, self.proj = nn.Linear(dims, dims), nn.Linear(dims, dims)
            self.attn_drop = nn.Dropout(dropout)

    def scores(self, queries: Tensor, memory: Tensor) -> Tensor:
        """Returns (B, heads, K, N) scaled scores before the softmax."""
        q, k = self._heads(self.q(queries)), self._heads(self.k(memory))
        return q @ k.transpose(2, 3) * self.scale

    def attend(self, scores: Tensor, memory: Tensor) -> Tensor:
        """Returns the (B, K, C) result of attention with these scores."""
        x = self.attn_drop(scores.softmax(3)) @ self._heads(self.v(memory))
        return self.proj(x.transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.num_heads, -1)).transpose(1, 2)


class ATMLayer(nn.Module):
    """Cross attention and a feed-forward, each before its norm; queries do not see one another.

    Args:
        dims: C.
        num_heads: Number of heads.
        hidden: Width of the feed-forward.
        dropout: Probability, in training.
        last: Builds what the masks of the last layer need alone: its queries are not read.
        official_layout: Builds all that the official layer holds; parts that it never uses do not
            train.

    Shapes:
        queries (B, K, C), memory (B, N, C) -> queries (B, K, C), masks (B, K, N).
    """

    def __init__(
        self,
        dims: int,
        num_heads: int,
        hidden: int,
        dropout: float,
        *,
        last: bool = False,
        official_layout: bool = False,
    ) -> None:
        super().__init__()
        self.last = last
        masks_alone = last and not official_layout
        self.multihead_attn = MaskAttention(dims, num_heads, dropout, scores_only=masks_alone)
        if official_layout:  # never used
            self.self_attn = nn.MultiheadAttention(dims, num_heads)
            self.norm1 = nn.LayerNorm(dims)
        if not masks_alone:
            self.linear1, self.linear2 = nn.Linear(dims, hidden), nn.Linear(hidden, dims)
            self.norm2, self.norm3 = nn.LayerNorm(dims), nn.LayerNorm(dims)
            self.dropout = nn.Dropout(dropout)
        if official_layout:  # parallel training refuses parameters that wait for a gradient
            for name, param in self.named_parameters():
                is_read = name.startswith(_READ_LAST) if last else not name.startswith(_NEVER_READ)
                param.requires_grad_(is_read)

    def forward(self, queries: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the queries after the layer, of the last layer unchanged, and its masks."""
        scores = self.multihead_attn.scores(queries, memory)
        if self.last:
            return queries, scores.mean(1)
        x = queries + self.dropout(self.multihead_attn.attend(scores, memory))
        x = self.norm2(x)
        x = x + self.dropout(self.linear2(self.dropout(self.linear1(x).relu())))
        return self.norm3(x), scores.mean(1)


class ATMDecoder(nn.Module):
    """Layers of ATM; their names are the official ones.

    Args:
        num_layers: Number of layers.
        dims: C.
        num_heads: Number of heads.
        hidden: Width of the feed-forwards.
        dropout: Probability, in training.
        official_layout: See `ATMLayer`.

    Example:
        >>> import torch
        >>> from rein_seg.heads.atm.decoder import ATMDecoder
        >>> decoder = ATMDecoder(3, 16, num_heads=2, hidden=32)
        >>> masks = decoder(torch.zeros(1, 4, 16), torch.zeros(1, 15, 16))
        >>> len(masks), masks[-1].shape
        (3, torch.Size([1, 4, 15]))
    """

    def __init__(
        self,
        num_layers: int,
        dims: int,
        *,
        num_heads: int,
        hidden: int,
        dropout: float = 0.1,
        official_layout: bool = False,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            ATMLayer(
                dims, num_heads, hidden, dropout,
                last=i == num_layers - 1, official_layout=official_layout,
            )
            for i in range(num_layers)
        )  # fmt: skip

    def forward(self, queries: Tensor, memory: Tensor) -> list[Tensor]:
        """Returns the (B, K, N) masks of each layer."""
        masks = []
        for layer in self.layers:
            queries, mask = layer(queries, memory)
            masks.append(mask)
        return masks
