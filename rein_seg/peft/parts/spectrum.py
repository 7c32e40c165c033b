"""Singular values and vectors of pretrained weights, the same wherever they are computed again.

Methods that start from them save what they train, not the factors: those are recomputed from the
frozen weights. LAPACK builds differ in the last digits, in the signs of vectors, and in the basis
of a subspace whose singular values are equal. So they are computed in float64, where float32
weights leave neighbouring values apart by far more than the rounding; signs are fixed; and what a
method computes depends on U diag(.) V only, in which a sign cancels.
"""

from __future__ import annotations

import torch
from torch import Tensor


def decompose(weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Computes W = U diag(S) V of a weight's rows, in float64 on the CPU.

    Args:
        weight: (out, in) or (out, in, k, k).

    Returns:
        (out, R) U, (R,) S, largest first, (R, in) or (R, in k k) V; R = min(out, in k k). The
        largest entry of each row of V is positive.
    """
    matrix = weight.detach().flatten(1).double()
    if not matrix.is_meta:  # sizes alone, to count parameters
        matrix = matrix.cpu()
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    largest = right.gather(1, right.abs().argmax(dim=1, keepdim=True))
    signs = torch.where(largest < 0, -1.0, 1.0).to(right.dtype)
    return left * signs.mT, values, right * signs


def rounding(values: Tensor, matrix_side: int) -> Tensor:
    """Returns the size below which a singular value is rounding, and its vectors arbitrary.

    Args:
        values: (R,) singular values, largest first, float64.
        matrix_side: The larger side of the matrix.
    """
    return values[:1] * matrix_side * torch.finfo(values.dtype).eps
