"""Deformable sampling computed again in the backward pass, on devices other than a CPU.

The samples take twelve times the memory of the value that they are taken from. Not measured.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.utils.checkpoint import checkpoint


def applies(value: Tensor, *arguments: object) -> bool:
    """Tells whether the value is on another device than a CPU."""
    return value.device.type != 'cpu'


def sample(plain: Callable[..., Tensor], *arguments: object) -> Tensor:
    """Computes ``plain(*arguments)`` without keeping its activations."""
    return checkpoint(plain, *arguments, use_reentrant=False)
