"""What is installed: a check that it can work, and a record of it."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.metadata
import io
import os
import platform
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from rein_seg.errors import UserError

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h

# import names are shared: with both installed, files of one overwrite files of the other
_UPSTREAM = ('mmengine', 'mmengine-lite', 'mmcv', 'mmcv-lite', 'mmsegmentation', 'mmpretrain')
_KNOWN_WARNINGS = (
    'Fail to import ``MultiScaleDeformableAttention``',
    '.*torch.jit.script.*',
    '.*``avg_non_ignore``.*',
)
_RECORDED = (
    'torch',
    'torchvision',
    'onedl-mmengine',
    'onedl-mmcv',
    'onedl-mmsegmentation',
    'onedl-mmpretrain',
    'numpy',
    'opencv-python',
    'safetensors',
    'scipy',
    'timm',
)


def check_environment() -> None:
    """Refuses upstream mm* packages, which share their import names with the onedl-* forks.

    Raises:
        UserError: If one is installed.
    """
    found = [name for name in _UPSTREAM if _version(name) is not None]
    if found:
        raise UserError(
            f'the packages {found} are installed beside their onedl-* forks and overwrite their '
            f'files; run: pip uninstall {" ".join(found)} && pip install --force-reinstall '
            'onedl-mmengine onedl-mmcv onedl-mmsegmentation onedl-mmpretrain'
        )


def keep_freed_memory() -> bool:
    """Lets the C library keep what a step frees for the next step, instead of giving it back.

    glibc maps every large tensor anew and gives it back when it is freed, so on a CPU each step
    pays for thousands of page faults: a tenth to a fifth of a training step. What is kept is at
    most the step's peak. Does nothing without glibc, or where the environment says how it is to
    allocate (``MALLOC_*``, ``LD_PRELOAD``).

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
    if any(_kept):
        _set_thresholds(mmap=2**25, trim=2**26)  # what glibc's own grow to
    try:
        yield
    finally:
        if any(_kept):
            keep_freed_memory()


_kept: list[bool] = []


def _set_thresholds(*, mmap: int, trim: int) -> bool:
    libc = ctypes.CDLL(None)
    return (libc.mallopt(_M_MMAP_THRESHOLD, mmap), libc.mallopt(_M_TRIM_THRESHOLD, trim)) == (1, 1)


@contextlib.contextmanager
def quiet_imports() -> Iterator[None]:
    """Silences the stack's notes about optional parts while it is imported or built.

    Leaves no filter behind: a program that imports the package keeps its own warnings.

    Example:
        >>> import warnings
        >>> before = list(warnings.filters)
        >>> with quiet_imports():
        ...     print('hidden')
        >>> warnings.filters == before
        True
    """
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        for message in _KNOWN_WARNINGS:
            warnings.filterwarnings('ignore', message=message)
        yield


def describe_environment() -> dict[str, Any]:
    """Returns versions of Python, the platform, the packages and libraries that results hang on."""
    import torch

    from rein_seg.fast import onednn_matmul as products

    return {
        'python': sys.version.split()[0],
        'platform': platform.platform(),
        'processor': platform.processor() or platform.machine(),
        'threads': torch.get_num_threads(),
        'products': products.library(),
        'gpu': torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        'packages': {name: _version(name) for name in ('rein-seg', *_RECORDED)},
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
