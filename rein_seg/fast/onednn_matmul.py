"""float32 matrix products by oneDNN on AMD's processors, in the whole process.

PyTorch multiplies float32 matrices on a CPU with MKL, whose kernels for AMD's processors are slower
than oneDNN's with AVX-512. Measured: training steps in 0.9, sliding predictions in 0.8 of the time.

M x K times K x N matrices.
"""

from __future__ import annotations

import contextlib
import platform
import warnings
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from rein_seg.errors import UserError

_CPUINFO = Path('/proc/cpuinfo')
_FEWEST = 2**25  # multiplications: below, a call by way of Python costs as much as it saves
_NARROWEST = 16  # of M, K and N: oneDNN is no faster on short rows

_registered: list[torch.library.Library] = []


def use_onednn(*, always: bool = False) -> bool:
    """Makes `torch.mm` and `torch.addmm`, and so every linear, multiply with oneDNN where it pays.

    Holds for the process, forward and backward. Only the order of float sums changes. Products of
    other types, of batches, of transposed left sides (gradients of weights) and small products stay
    with PyTorch, as do compiled graphs of Inductor.

    Args:
        always: Takes oneDNN on every processor.

    Returns:
        Whether oneDNN is used.

    Raises:
        UserError: If ``always`` and this PyTorch lacks oneDNN.
    """
    if always and not works():
        raise UserError(
            'onednn_matmul is asked for, but this PyTorch cannot multiply with oneDNN: leave it out'
        )
    _switch(always or (_pays() and works()))
    return bool(_registered)


@contextlib.contextmanager
def onednn(on: bool) -> Iterator[None]:
    """Multiplies with oneDNN, or with PyTorch's own library, for a while.

    Example:
        >>> from rein_seg.fast.onednn_matmul import library, onednn
        >>> with onednn(False):
        ...     library() == 'oneDNN'
        False
    """
    before = bool(_registered)
    _switch(on)
    try:
        yield
    finally:
        _switch(before)


def library() -> str:
    """Returns the name of the library that multiplies float32 matrices on a CPU now."""
    if _registered:
        return 'oneDNN'
    return 'MKL' if torch.backends.mkl.is_available() else "PyTorch's own"


@lru_cache
def works() -> bool:
    """Tells whether this PyTorch has oneDNN's product, which is not documented."""
    if not torch.backends.mkldnn.is_available():
        return False
    a, b, c = torch.eye(16), torch.arange(256.0).view(16, 16), torch.ones(16)
    try:
        return torch.equal(_multiply(a, b, c), b + c)
    except (AttributeError, RuntimeError, TypeError):
        return False


def _pays() -> bool:
    """Tells whether PyTorch would take MKL, on a processor of AMD's with AVX-512."""
    own = torch.backends.mkl.is_available()
    if not own or torch.backends.cpu.get_cpu_capability() != 'AVX512':
        return False
    if _CPUINFO.exists():
        with _CPUINFO.open(errors='replace') as file:
            maker = file.read(4096)
    else:
        maker = platform.processor()
    return 'AuthenticAMD' in maker


def _switch(on: bool) -> None:
    """Registers `_mm` and `_addmm` as PyTorch's kernels, or removes them with their library."""
    if not on:
        _registered.clear()
    elif not _registered:
        kernels = torch.library.Library('aten', 'IMPL')
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # PyTorch warns that kernels exist already
            kernels.impl('mm', _mm, 'CPU')
            kernels.impl('addmm', _addmm, 'CPU')
        _registered.append(kernels)


def _mm(a: Tensor, b: Tensor) -> Tensor:
    if _fits(a, b):
        return _multiply(a, b, None)
    return torch.mm(a, b, out=a.new_empty(0))  # with a given output it is PyTorch's own


def _addmm(c: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    of_linear = beta == alpha == 1 and c.dtype == torch.float32 and c.shape == b.shape[1:]
    if of_linear and c.is_contiguous() and _fits(a, b):
        return _multiply(a, b, c)
    return torch.addmm(c, a, b, beta=beta, alpha=alpha, out=a.new_empty(0))


def _multiply(a: Tensor, b: Tensor, c: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise.default(a, b.t(), c, 'none', [], '')


def _fits(a: Tensor, b: Tensor) -> bool:
    """Tells whether oneDNN multiplies (M, K) with (K, N), and faster."""
    if not (a.dtype == b.dtype == torch.float32 and a.dim() == b.dim() == 2):
        return False
    sides = (*a.shape, b.shape[1])
    large = min(sides) >= _NARROWEST and sides[0] * sides[1] * sides[2] >= _FEWEST
    # rows with gaps between them would go through its reference code, a hundred times slower
    dense = a.is_contiguous() and (b.is_contiguous() or b.t().is_contiguous())
    return large and dense and a.shape[1] == b.shape[0]
