"""float32 matrix products by oneDNN, on processors that PyTorch's own library is slower on.

M x K times K x N matrices.
"""

from __future__ import annotations

import contextlib
import os
import platform
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from rein_seg.errors import UserError

VARIABLE = 'REIN_SEG_PRODUCTS'
_CPUINFO = Path('/proc/cpuinfo')
_FEWEST = 2**21  # multiplications: below, a call by way of Python costs what it saves
_NARROWEST = 16  # of M, K and N: oneDNN is no faster where there is little to a row

_registered: list[torch.library.Library] = []


def use_onednn() -> bool:
    """Has `torch.mm` and `torch.addmm`, and so every linear, multiply with oneDNN where it pays.

    PyTorch multiplies float32 matrices on a CPU with MKL, whose kernels for AMD's processors reach
    three quarters of what oneDNN's do there. oneDNN comes with PyTorch, too; nothing but the order
    of float sums changes. Holds for the process, forward and backward; products of other types, of
    batches, of transposed left sides (gradients of weights) and small ones stay as they are, and so
    do compiled graphs.

    The environment decides otherwise: ``REIN_SEG_PRODUCTS=pytorch`` or ``onednn``.

    Returns:
        Whether oneDNN is used.

    Raises:
        UserError: If the variable says something else, or asks for what this PyTorch lacks.
    """
    wish = os.environ.get(VARIABLE, '')
    if wish not in ('', 'pytorch', 'onednn'):
        raise UserError(f'{VARIABLE}={wish!r}: expected pytorch or onednn')
    if wish == 'onednn' and not _is_there():
        raise UserError(f'{VARIABLE}=onednn: this PyTorch was built without oneDNN; unset it')
    if wish == 'onednn' or (not wish and _pays()):
        _register()
    return bool(_registered)


@contextlib.contextmanager
def pytorchs_own() -> Iterator[None]:
    """Undoes `use_onednn` for a while, where it was used."""
    before = bool(_registered)
    _registered.clear()
    try:
        yield
    finally:
        if before:
            _register()


def library() -> str:
    """Returns the name of what multiplies float32 matrices on a CPU now."""
    if _registered:
        return 'oneDNN'
    return 'MKL' if torch.backends.mkl.is_available() else "PyTorch's own"


def _is_there() -> bool:
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, '_linear_pointwise')


def _pays() -> bool:
    """Tells whether PyTorch would take MKL, on a processor of AMD's."""
    if not (_is_there() and torch.backends.mkl.is_available()):
        return False
    if _CPUINFO.exists():
        with _CPUINFO.open(errors='replace') as file:
            maker = file.read(4096)
    else:
        maker = platform.processor()
    return 'AuthenticAMD' in maker


def _register() -> None:
    """Puts `_mm` and `_addmm` in the place of PyTorch's; forgetting the library takes them away."""
    if _registered:
        return
    kernels = torch.library.Library('aten', 'IMPL')
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # that they were there before
        kernels.impl('mm', _mm, 'CPU')
        kernels.impl('addmm', _addmm, 'CPU')
    _registered.append(kernels)


def _mm(a: Tensor, b: Tensor) -> Tensor:
    if _fits(a, b):
        return torch.ops.mkldnn._linear_pointwise(a, b.t(), None, 'none', [], '')
    return torch.mm(a, b, out=a.new_empty(0))  # the variant with a given output is PyTorch's still


def _addmm(c: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    of_linear = beta == alpha == 1 and c.dtype == torch.float32 and c.shape == b.shape[1:]
    if of_linear and _fits(a, b):
        return torch.ops.mkldnn._linear_pointwise(a, b.t(), c, 'none', [], '')
    return torch.addmm(c, a, b, beta=beta, alpha=alpha, out=a.new_empty(0))


def _fits(a: Tensor, b: Tensor) -> bool:
    """Tells whether oneDNN multiplies (M, K) with (K, N), and faster."""
    if not (a.dtype == b.dtype == torch.float32 and a.dim() == b.dim() == 2):
        return False
    sides = (*a.shape, b.shape[1])
    large = min(sides) >= _NARROWEST and sides[0] * sides[1] * sides[2] >= _FEWEST
    # rows with gaps between them would go through its reference code, a hundred times slower
    dense = a.is_contiguous() and (b.is_contiguous() or b.t().is_contiguous())
    return large and dense and a.shape[1] == b.shape[0]
