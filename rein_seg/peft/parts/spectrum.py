"""Singular values and vectors of pretrained weights, reproducible on every machine.

Methods that start from them save only trained tensors; the factors are recomputed from the frozen
weights. LAPACK builds differ in the last digits, in the signs of vectors, and in the basis of a
subspace with equal singular values. Therefore the decomposition runs in float64, where the
neighbouring values of float32 weights are much further apart than the rounding; signs are fixed;
and a method uses U diag(.) V only, in which a sign cancels.
"""

from __future__ import annotations

import torch
from torch import Tensor


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


def rounding(values: Tensor, matrix_side: int) -> Tensor:
    """Returns the size below which a singular value is rounding and its vectors are arbitrary.

    Args:
        values: (R,) singular values, largest first, float64.
        matrix_side: The larger side of the matrix.
    """
    return values[:1] * matrix_side * torch.finfo(values.dtype).eps
