"""Products B A of low rank for chosen rows of a linear or convolution.

r rank, n slices of the output channels, k kernel side.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.peft.choose import Rows

Op = nn.Linear | nn.Conv2d


class LowRankPair(nn.Module):
    """Trainable A and B for some slices of an operation's output channels.

    Args:
        op: The frozen `nn.Linear` or dense `nn.Conv2d`.
        rows: Slices (start, stop) of the output channels, each with its own product.
        rank: r of each product.

    Shapes:
        lora_A: (n r, in) or (n r, in, k, k); lora_B: (sum of slice widths, r), as loralib stacks
        them; for a convolution A has the base's kernel, stride, padding and dilation and B is 1x1.
        A starts uniform (Kaiming, a = sqrt 5), B at zero.

    Example:
        >>> from torch import nn
        >>> from rein_seg.peft.parts.low_rank import LowRankPair
        >>> pair = LowRankPair(nn.Linear(32, 96), ((0, 32), (64, 96)), rank=4)  # q and v of qkv
        >>> pair.lora_A.shape, pair.lora_B.shape, pair.product().shape
        (torch.Size([8, 32]), torch.Size([64, 4]), torch.Size([96, 32]))
    """

    def __init__(self, op: Op, rows: Rows, *, rank: int) -> None:
        super().__init__()
        self.rows, self.rank = tuple(rows), rank
        self.out_features = op.weight.shape[0]
        self.conv = conv_options(op)
        width = sum(stop - start for start, stop in self.rows)
        inputs = op.weight.shape[1:]
        self.lora_A = nn.Parameter(op.weight.new_empty(len(self.rows) * rank, *inputs))
        self.lora_B = nn.Parameter(op.weight.new_zeros(width, rank))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))

    def update(self, x: Tensor) -> Tensor:
        """Returns B A x, zero outside the slices."""
        return apply_pair(x, self.lora_A, self.up(self.lora_B), self.conv)

    def product(self) -> Tensor:
        """Returns B A in the shape of the base weight, zero outside the slices."""
        return torch.tensordot(self.up(self.lora_B), self.lora_A, dims=1)

    def up(self, lora_B: Tensor) -> Tensor:
        """Returns (out, n r) of the (sum of widths, r) B."""
        return block_diagonal(lora_B, self.rows, self.out_features)


def conv_options(op: Op) -> dict[str, Any] | None:
    """Returns stride, padding and dilation of a convolution, None for a linear."""
    if isinstance(op, nn.Conv2d):
        return dict(stride=op.stride, padding=op.padding, dilation=op.dilation)
    return None


def apply_down(x: Tensor, down: Tensor, conv: dict[str, Any] | None) -> Tensor:
    """Applies (r, in) to (..., in), or (r, in, k, k) to (B, in, H, W) as the base convolves."""
    return F.linear(x, down) if conv is None else F.conv2d(x, down, **conv)


def apply_up(d: Tensor, up: Tensor, conv: dict[str, Any] | None) -> Tensor:
    """Applies (out, r) to (..., r), or to the channels of (B, r, H, W)."""
    return F.linear(d, up) if conv is None else F.conv2d(d, up[:, :, None, None])


def apply_pair(x: Tensor, down: Tensor, up: Tensor, conv: dict[str, Any] | None) -> Tensor:
    """Applies ``down``, then ``up``."""
    return apply_up(apply_down(x, down, conv), up, conv)


def block_diagonal(parts: Tensor, rows: Rows, out_features: int) -> Tensor:
    """Returns (out, n r): each slice's (width, r) part in its own columns, zero elsewhere.

    A single product then serves all slices.

    Args:
        parts: (sum of slice widths, r), the slices one below the other.
        rows: The n slices.
        out_features: out.
    """
    if rows == ((0, out_features),):
        return parts
    each = parts.split([stop - start for start, stop in rows])
    n, rank = len(rows), parts.shape[1]
    wide = [F.pad(part, (i * rank, (n - 1 - i) * rank)) for i, part in enumerate(each)]
    return scatter_rows(torch.cat(wide), rows, out_features)


def scatter_rows(values: Tensor, rows: Rows, size: int, *, fill: float = 0.0) -> Tensor:
    """Returns (size, ...): ``values`` (sum of slice widths, ...) at their rows, else ``fill``.

    Example:
        >>> import torch
        >>> from rein_seg.peft.parts.low_rank import scatter_rows
        >>> scatter_rows(torch.tensor([1.0, 2.0]), ((0, 1), (3, 4)), 5)
        tensor([1., 0., 0., 2., 0.])
    """
    if rows == ((0, size),):
        return values
    # concatenated, not written in place: autograd and torch.compile keep plain tensors
    pieces, row = [], 0
    for (start, stop), part in zip(
        rows, values.split([stop - start for start, stop in rows]), strict=True
    ):
        pieces += [values.new_full((start - row, *values.shape[1:]), fill), part]
        row = stop
    pieces.append(values.new_full((size - row, *values.shape[1:]), fill))
    return torch.cat([piece for piece in pieces if len(piece)])


def gather_rows(values: Tensor, rows: Rows) -> Tensor:
    """Returns the slices of ``values``, one below the other: the inverse of `scatter_rows`."""
    return torch.cat([values[start:stop] for start, stop in rows])


def per_channel(vector: Tensor, conv: dict[str, Any] | None) -> Tensor:
    """Returns a (C,) vector shaped to scale the output channels of a linear or convolution."""
    return vector if conv is None else vector[:, None, None]


def scaling_of(alpha: float, rank: int, rank_stabilized: bool) -> float:
    """Returns s = alpha / r, or alpha / sqrt(r) if rank-stabilised."""
    return alpha / (math.sqrt(rank) if rank_stabilized else rank)
