"""Singular values and vectors of pretrained weights, reproducible on every machine.

Methods that start from them save only trained tensors; the factors are recomputed from the frozen
weights. LAPACK builds differ in the last digits, in the signs of vectors, and in the basis of a
subspace with equal singular values. Therefore the decomposition runs in float64, where the
neighbouring values of float32 weights are much further apart than the rounding; signs are fixed;
and a method uses U diag(.) V only, in which a sign cancels.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from rein_seg.peft.choose import Rows

Components = Literal['minor', 'principal']


def decompose(weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Computes W = U diag(S) V of the rows of a weight, in float64 on the CPU.

    Args:
        weight: (out, in) or (out, in, k, k).

    Returns:
        (out, R) U, (R,) S, largest first, (R, in) or (R, in k k) V; R = min(out, in k k). The
        largest entry of each row of V is positive.

    Example:
        >>> import torch
        >>> from rein_seg.peft.parts.spectrum import decompose
        >>> left, values, right = decompose(torch.diag(torch.tensor([1.0, -3.0])))
        >>> values.tolist(), ((left * values) @ right).tolist()
        ([3.0, 1.0], [[1.0, 0.0], [0.0, -3.0]])
    """
    matrix = weight.detach().flatten(1).double()
    if not matrix.is_meta:  # on the meta device only sizes count, for counting parameters
        matrix = matrix.cpu()
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    largest = right.gather(1, right.abs().argmax(dim=1, keepdim=True))
    signs = torch.where(largest < 0, -1.0, 1.0).to(right.dtype)
    return left * signs.mT, values, right * signs


def split(
    weight: Tensor, rank: int, *, scaling: float = 1.0, components: Components = 'minor'
) -> tuple[Tensor, Tensor]:
    """Computes A = sqrt(S_r / s) V_r and B = U_r sqrt(S_r / s) from r singular components.

    Args:
        weight: (out, in) or (out, in, k, k).
        rank: r.
        scaling: s.
        components: ``minor``, the smallest, or ``principal``, the largest.

    Returns:
        (r, in) or (r, in, k, k) A and (out, r) B; s B A is the sum of these components.

    Example:
        >>> import torch
        >>> from rein_seg.peft.parts.spectrum import split
        >>> weight = torch.diag(torch.tensor([3.0, 1.0]))
        >>> down, up = split(weight, rank=1)
        >>> (up @ down).tolist()
        [[0.0, 0.0], [0.0, 1.0]]
    """
    left, values, right = decompose(weight)
    kept = slice(-rank, None) if components == 'minor' else slice(rank)
    root = (values[kept] / scaling).sqrt()
    down = (root[:, None] * right[kept]).view(rank, *weight.shape[1:])
    return down.to(weight), (left[:, kept] * root).to(weight)


def split_rows(
    weight: Tensor,
    rows: Rows,
    rank: int,
    *,
    scaling: float = 1.0,
    components: Components = 'minor',
) -> tuple[Tensor, Tensor]:
    """Computes `split` of each slice of a weight, stacked as in a `LowRankPair`.

    Returns:
        (n r, in) or (n r, in, k, k) A and (sum of slice widths, r) B.
    """
    each = [
        split(weight[start:stop], rank, scaling=scaling, components=components)
        for start, stop in rows
    ]
    return torch.cat([down for down, _ in each]), torch.cat([up for _, up in each])


def rounding(values: Tensor, matrix_side: int) -> Tensor:
    """Returns the size below which a singular value is rounding and its vectors are arbitrary.

    Args:
        values: (R,) singular values, largest first, float64.
        matrix_side: The larger side of the matrix.
    """
    return values[:1] * matrix_side * torch.finfo(values.dtype).eps
