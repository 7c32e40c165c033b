"""Deformable sampling on a CPU by one weighted gather, with a backward pass that gathers, too.

Measured: forward in a fifth of the time of sampling level by level; of one layer, forward and
backward, 129 -> 72 ms.

B batch, N queries, H heads, d width of a head, L levels, P points, S rows of all levels, R rows of
all framed levels; I = B N H bags of K = L P points each.
"""

from __future__ import annotations

import warnings
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import csr_array
from torch import Tensor

Sizes = tuple[tuple[int, int], ...]


def applies(value: Tensor, *arguments: object) -> bool:
    """Tells whether the value is on a CPU."""
    return value.device.type == 'cpu'


@torch.compiler.disable  # SciPy and sparse tensors: nothing to fuse, and much to trace
def sample(
    value: Tensor, offsets: Tensor, weights: Tensor, reference: Tensor, sizes: Sizes
) -> Tensor:
    """Computes `deform_sample` of the pixel decoder: its arguments, its result.

    Example:
        >>> import torch
        >>> from rein_seg.fast.gathered_sampling import sample
        >>> value = torch.arange(6.0).view(1, 6, 1, 1)  # one level, two rows of three pixels
        >>> reference = torch.tensor([[2.5 / 3, 0.5 / 2]])  # centre of the last pixel of row 0
        >>> offsets, weights = torch.zeros(1, 1, 1, 1, 1, 2), torch.ones(1, 1, 1, 1, 1)
        >>> round(sample(value, offsets, weights, reference, [(2, 3)]).item(), 4)
        2.0
    """
    return WeightedGather.apply(value, offsets, weights, reference, tuple(sizes))


class WeightedGather(torch.autograd.Function):
    """Computes weighted sums of bilinear samples as one gather of the 4 K corners of each bag.

    The levels get a border of zeros, which holds the corners of all points outside: then the four
    corners lie at fixed steps from the first. PyTorch's own backward would scatter row by row; this
    one sorts the first corners once and gathers from the other side. Coordinates and their
    gradients take few passes over I x K values, indexes are 32 bits wide.

    Shapes:
        value (B, S, H, d), offsets (B, N, H, L, P, 2), weights (B, N, H, L, P), reference (N, 2)
        -> (B, N, H, d); see `deform_sample`. No gradient for the reference.
    """

    @staticmethod
    def forward(
        ctx, value: Tensor, offsets: Tensor, weights: Tensor, reference: Tensor, sizes: Sizes
    ) -> Tensor:
        """Gathers."""
        table = _frame(value, sizes)
        first, share, inside = _first_corners(offsets, reference, table.shape, sizes)
        weights = weights.reshape(first.shape)
        ctx.sizes, ctx.shape = sizes, offsets.shape
        ctx.save_for_backward(table, first, share, inside, weights)
        corners = _all_corners(first, table.shape[2], sizes)
        shares = torch.stack(_corner_shares(weights, *share.unbind(-1)), dim=1)
        out = F.embedding_bag(
            corners, table.flatten(0, 2), mode='sum', per_sample_weights=shares.flatten(1)
        )
        return out.view(*offsets.shape[:3], -1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    @torch.compiler.disable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None, None]:
        """Returns the gradients of value, offsets and weights."""
        table, first, share, inside, weights = ctx.saved_tensors
        grad = grad.reshape(len(first), -1)
        grad_value = None
        if ctx.needs_input_grad[0]:
            grad_value = _grad_value(grad, table, first, weights, share, ctx.sizes)
        corners = _all_corners(first, table.shape[2], ctx.sizes)
        each = _row_products(grad, table.flatten(0, 2), corners).view(len(first), 4, -1)
        upper_left, upper_right, lower_left, lower_right = each.unbind(1)
        x, y = share.unbind(-1)
        above, below = upper_right - upper_left, lower_right - lower_left
        upper = torch.addcmul(upper_left, above, x)
        down = torch.addcmul(lower_left, below, x).sub_(upper)
        across = torch.addcmul(above, below.sub_(above), y)
        grad_offsets = torch.stack((across.mul_(weights), down * weights), dim=-1).mul_(inside)
        grad_weights = upper.addcmul_(down, y)
        shape = ctx.shape
        return grad_value, grad_offsets.view(shape), grad_weights.view(shape[:-1]), None, None


def _frame(value: Tensor, sizes: Sizes) -> Tensor:
    """Returns (B, R, H, d): the (B, S, H, d) levels, each with a border of zeros."""
    levels = value.split([h * w for h, w in sizes], dim=1)
    framed = [
        F.pad(level.unflatten(1, size), (0, 0, 0, 0, 1, 1, 1, 1)).flatten(1, 2)
        for level, size in zip(levels, sizes, strict=True)
    ]
    return torch.cat(framed, dim=1)


def _unframe(table: Tensor, sizes: Sizes) -> Tensor:
    """Takes the borders away: the reverse of `_frame`, and its gradient."""
    levels = table.split([(h + 2) * (w + 2) for h, w in sizes], dim=1)
    inner = [
        level.unflatten(1, (height + 2, width + 2))[:, 1:-1, 1:-1].flatten(1, 2)
        for level, (height, width) in zip(levels, sizes, strict=True)
    ]
    return torch.cat(inner, dim=1)


def _first_corners(
    offsets: Tensor, reference: Tensor, table: torch.Size, sizes: Sizes
) -> tuple[Tensor, Tensor, Tensor]:
    """Finds the corner above and to the left of each point.

    Args:
        offsets: (B, N, H, L, P, 2).
        reference: (N, 2).
        table: Its shape, (B, R, H, d).
        sizes: Of the levels.

    Returns:
        (I, K) its row in the (B R H, d) table, int32 where that is wide enough; (I, K, 2) the
        distance from there to the point, 0..1; (I, K, 2) whether the point moves with its offset:
        it does not beyond the frame.
    """
    batch, rows, heads, _ = table
    number, points = offsets.shape[1], offsets.shape[4]
    extent = offsets.new_tensor([(w, h) for h, w in sizes])[:, None].expand(-1, points, -1)
    centre = (reference[:, None, None] * extent - 0.5).flatten(1)  # (N, 2K)
    extent = extent.flatten()
    pixels = offsets.reshape(batch, number, heads, -1) + centre[:, None]
    places = torch.minimum(pixels, extent).clamp_(min=-1)
    # a NaN must not become an index outside the table
    corner = torch.minimum(places.floor(), extent - 1).nan_to_num_(0)
    inside = places == pixels
    share = places.sub_(corner)

    wide = torch.int64 if batch * rows * heads >= 2**31 else torch.int32
    x, y = corner.to(wide).unflatten(-1, (-1, 2)).unbind(-1)  # (B, N, H, K)
    breadths = torch.tensor([w + 2 for _, w in sizes], dtype=wide)
    starts = torch.tensor([0, *((h + 2) * (w + 2) for h, w in sizes[:-1])]).cumsum(0).to(wide)
    # rows of the corner (-1, -1) of each level, head and image
    start = ((starts + breadths + 1) * heads).repeat_interleave(points)
    start = start + torch.arange(heads, dtype=wide)[:, None]
    start = start + torch.arange(batch, dtype=wide).view(-1, 1, 1, 1) * (rows * heads)
    row = (y * breadths.repeat_interleave(points)).add_(x).mul_(heads).add_(start)
    bags = batch * number * heads
    return row.view(bags, -1), share.view(bags, -1, 2), inside.view(bags, -1, 2)


def _all_corners(first: Tensor, heads: int, sizes: Sizes) -> Tensor:
    """Returns (I, 4 K) rows: upper left, upper right, lower left and lower right of all points."""
    steps = torch.tensor([(0, 1, w + 2, w + 3) for _, w in sizes], dtype=first.dtype) * heads
    steps = steps.repeat_interleave(first.shape[1] // len(sizes), dim=0)
    return (first[:, None] + steps.T.contiguous()).flatten(1)


def _corner_shares(weights: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    """Returns the weights of the four corners, of points that lie (x, y) from the first one."""
    lower = weights * y
    upper = weights - lower
    upper_right, lower_right = upper * x, lower * x
    return upper.sub_(upper_right), upper_right, lower.sub_(lower_right), lower_right


def _grad_value(
    grad: Tensor, table: Tensor, first: Tensor, weights: Tensor, share: Tensor, sizes: Sizes
) -> Tensor:
    """Returns (B, S, H, d).

    Args:
        grad: (I, d).
        table: (B, R, H, d), for its shape.
        first: (I, K).
        weights: (I, K).
        share: (I, K, 2).
        sizes: Of the levels.
    """
    order, owner, starts = _by_row(first, table.shape[:3].numel())
    x, y = (each.flatten().index_select(0, order) for each in share.unbind(-1))
    shares = _corner_shares(weights.flatten().index_select(0, order), x, y)
    areas = [(h + 2) * (w + 2) for h, w in sizes]
    out = torch.zeros_like(table)
    for corner, each in enumerate(shares):
        bags = F.embedding_bag(owner, grad, starts, mode='sum', per_sample_weights=each)
        levels = bags.view_as(table).split(areas, dim=1)
        for target, level, (_, width) in zip(out.split(areas, dim=1), levels, sizes, strict=True):
            step = (0, 1, width + 2, width + 3)[corner]
            target[:, step:] += level[:, : level.shape[1] - step]
    return _unframe(out, sizes)


def _by_row(first: Tensor, rows: int) -> tuple[Tensor, Tensor, Tensor]:
    """Sorts points by their row: (I K,) points, (I K,) the bag of each, (rows,) where a row starts.

    SciPy's change of a sparse matrix from rows to columns is a counting sort that finds all three.
    """
    bags, each = first.shape
    dtype = np.dtype(str(first.dtype).removeprefix('torch.'))
    ends = np.arange(0, first.numel() + 1, each, dtype=dtype)
    points = np.arange(first.numel(), dtype=dtype)
    table = csr_array((points, first.numpy().ravel(), ends), shape=(bags, rows)).tocsc()
    return tuple(torch.from_numpy(part) for part in (table.data, table.indices, table.indptr[:-1]))


def _row_products(grad: Tensor, table: Tensor, rows: Tensor) -> Tensor:
    """Returns (I, J): each row of ``grad`` (I, d) times its ``rows`` (I, J) of the table."""
    bags, each = rows.shape
    starts = torch.arange(0, bags * each + 1, each, dtype=rows.dtype)
    if _can_sample_products():
        shape = (bags, len(table))
        pattern = torch.sparse_csr_tensor(
            starts, rows.view(-1), grad.new_zeros(rows.numel()), shape, check_invariants=False
        )
        torch.sparse.sampled_addmm(pattern, grad, table.t(), beta=0, out=pattern)
        return pattern.values().view_as(rows)
    owner = torch.arange(bags, dtype=rows.dtype).repeat_interleave(each)
    return torch.ops.aten._embedding_bag_per_sample_weights_backward(
        grad, table, rows.view(-1), starts[:-1], owner, 0, -1
    ).view_as(rows)


@lru_cache
def _can_sample_products() -> bool:
    """Says whether this PyTorch has the faster kernel: only those built with MKL do."""
    one = torch.ones(1, 1)
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', 'Sparse CSR tensor support is in beta')
        try:
            torch.sparse.sampled_addmm(one.to_sparse_csr(), one, one)
        except RuntimeError:
            return False
    return True
