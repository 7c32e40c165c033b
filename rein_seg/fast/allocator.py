"""Keeps freed memory in the process; loads without PyTorch.

glibc maps every large tensor anew and returns it to the system when it is freed, so on a CPU each
step pays for thousands of page faults. Measured: a tenth to a fifth of a training step.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
from collections.abc import Iterator

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_kept: list[bool] = []


def keep_freed_memory() -> bool:
    """Makes the C library keep the memory that a step frees for the next step.

    The process keeps at most the peak of a step. Does nothing without glibc, or where the
    environment configures the allocator (``MALLOC_*``, ``LD_PRELOAD``).

    Returns:
        Whether it was set.
    """
    chosen = [name for name in os.environ if name.startswith('MALLOC_') or name == 'LD_PRELOAD']
    if platform.libc_ver()[0] != 'glibc' or chosen:
        return False
    _kept[:] = [_set_thresholds(mmap=2**30, trim=2**31 - 1)]
    return _kept[0]


@contextlib.contextmanager
def giving_memory_back() -> Iterator[None]:
    """Undoes `keep_freed_memory` for a while, where it was set."""
    was_set = keeps_memory()
    if was_set:
        _set_thresholds(mmap=2**25, trim=2**26)  # the values that glibc's own thresholds grow to
        _kept.clear()
    try:
        yield
    finally:
        if was_set:
            keep_freed_memory()


def keeps_memory() -> bool:
    """Tells whether `keep_freed_memory` was set."""
    return any(_kept)


def _set_thresholds(*, mmap: int, trim: int) -> bool:
    libc = ctypes.CDLL(None)
    return (libc.mallopt(_M_MMAP_THRESHOLD, mmap), libc.mallopt(_M_TRIM_THRESHOLD, trim)) == (1, 1)
