"""Attention of HLG, with biases computed from offsets.

B batch, N queries, K keys, C channels, h heads, P prompts, nW windows of M members, H x W map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.encoders.hlg.windows import Windows

Places = tuple[Sequence[float], Sequence[float]]  # rows and columns

# added to the scores of padded keys: their weights are 0 in every float type
_PADDED = -1e4


class PositionBias(nn.Module):
    """Computes the bias of each head from the offset (dy, dx), query minus key, in map steps.

    Offsets repeat, so each is computed once and looked up.

    Args:
        width: e, of the hidden layers.
        num_heads: h.

    Source: Zhang et al., arXiv 2207.09339; the network is CrossFormer's (ICLR 2022).

    Example:
        >>> from rein_seg.encoders.hlg.attention import PositionBias
        >>> bias = PositionBias(4, num_heads=2)
        >>> bias.of_grids((range(5), range(3)), ([1.5], [1.0])).shape  # 5 x 3 queries, one key
        torch.Size([2, 15, 1])
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.pos_proj = nn.Linear(2, width)
        self.pos1, self.pos2, self.pos3 = (
            nn.Sequential(nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, outputs))
            for outputs in (width, width, num_heads)
        )

    def table(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Returns the (R S, h) biases of all (R,) x (S,) offsets, row by row."""
        like = self.pos_proj.weight
        grid = torch.stack(torch.meshgrid(rows, columns, indexing='ij'), dim=-1).flatten(0, 1)
        return self.pos3(self.pos2(self.pos1(self.pos_proj(grid.to(like)))))

    def forward(self, rows: Steps, columns: Steps) -> Tensor:
        """Returns (h, ...) for the index of each row and column, which broadcast to (...)."""
        places = [
            torch.arange(axis.number, dtype=torch.double) + axis.low for axis in (rows, columns)
        ]
        index = rows.index * columns.number + columns.index
        return look_up(self.table(*places), index)

    def of_grids(self, queries: Places, keys: Places) -> Tensor:
        """Returns (h, N, K) of the queries and the keys of two grids.

        Args:
            queries: Rows and columns of the queries, in rising order; N is their product.
            keys: The same of the keys, K. Offsets lie a whole number of steps apart.
        """
        rows, columns = (steps(q, k) for q, k in zip(queries, keys, strict=True))
        rows = replace(rows, index=rows.index[:, None, :, None])
        columns = replace(columns, index=columns.index[None, :, None, :])
        return self(rows, columns).flatten(3).flatten(1, 2)


@dataclass(frozen=True)
class Steps:
    """Offsets along one axis, as indexes into a range.

    Attributes:
        low: The lowest offset.
        number: Number of offsets in the range.
        index: The offsets minus ``low``.
    """

    low: float
    number: int
    index: Tensor


def steps(queries: Sequence[float], keys: Sequence[float]) -> Steps:
    """Returns the (N, K) offsets of N rising queries and K keys, query minus key."""
    low, high = queries[0] - max(keys), queries[-1] - min(keys)
    index = torch.tensor(queries)[:, None] - torch.tensor(keys) - low
    return Steps(low, int(high - low) + 1, index.round().int())


def look_up(table: Tensor, index: Tensor) -> Tensor:
    """Returns the rows ``index``, (...), of a (T, h) table as (h, ...)."""
    index = index.to(table.device)
    # heads first: what follows would copy a result with heads last
    return table.t().contiguous().index_select(1, index.flatten()).unflatten(1, index.shape)


def local_bias(position: PositionBias, members: tuple[int, int]) -> Tensor:
    """Returns (h, M, M): offsets of member numbers, whatever their distance on the map."""
    numbers = (range(members[0]), range(members[1]))
    return position.of_grids(numbers, numbers)


def centre_bias(position: PositionBias, windows: Windows, size: tuple[int, int]) -> Tensor:
    """Returns (h, H W, nW): offsets of the pixels of a map from the windows' centres."""
    return position.of_grids((range(size[0]), range(size[1])), windows.centres())


def column_bias(position: PositionBias, windows: Windows, size: tuple[int, int]) -> Tensor:
    """Returns the first nW columns of the bias from pixel to pixel, (h, H W, nW).

    So window number j stands at the place of pixel number j, as officially.
    """
    height, width = size
    keys = range(windows.count[0] * windows.count[1])
    rows = steps(range(height), [key // width for key in keys])
    columns = steps(range(width), [key % width for key in keys])
    rows = replace(rows, index=rows.index[:, None])
    return position(rows, columns).flatten(1, 2)


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Returns softmax(q k^T (C / h)^-1/2 + bias) v of every head.

    Args:
        q: (B, N, C).
        k: (B, K, C).
        v: (B, K, C).
        bias: (h, N, K); for N - P queries and K - P keys, the first P of each have the bias 0.
    """
    ahead = q.shape[1] - bias.shape[1]
    if ahead:
        bias = F.pad(bias, (ahead, 0, ahead, 0))
    q, k, v = (x.unflatten(2, (len(bias), -1)).transpose(1, 2) for x in (q, k, v))
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias[None].to(q.dtype))
    return y.transpose(1, 2).flatten(2)


class WindowAttention(nn.Module):
    """Attends within each window; it has no parameters of its own.

    Args:
        num_heads: h.

    Shapes:
        q, k, v: (B, nW, P+M, C), prompts first -> the same.
    """

    def __init__(self, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads

    def forward(
        self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor, real: Tensor | None = None
    ) -> Tensor:
        """Returns the windows.

        Args:
            q: Queries.
            k: Keys.
            v: Values.
            bias: (h, M, M); it is 0 for prompts.
            real: (nW, M), false for members that nobody sees; None: all are seen.
        """
        batch, count, tokens, _ = q.shape
        ahead = tokens - bias.shape[-1]
        bias = F.pad(bias, (ahead, 0, ahead, 0)) if ahead else bias
        # heads before tokens, the windows of an image side by side
        q, k, v = (x.unflatten(3, (self.num_heads, -1)).transpose(2, 3) for x in (q, k, v))
        if real is None:
            q, k, v = (x.flatten(0, 1) for x in (q, k, v))
        else:  # windows are moved to the axis of heads, so that all images share the biases
            q, k, v = (x.flatten(1, 2) for x in (q, k, v))
            hidden = F.pad(~real, (ahead, 0)).to(bias)[:, None, None]
            bias = (bias + _PADDED * hidden).flatten(0, 1)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias[None].to(q.dtype))
        y = y.reshape(batch, count, self.num_heads, tokens, -1)
        return y.transpose(2, 3).flatten(3)
