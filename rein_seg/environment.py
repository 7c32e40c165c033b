"""What is installed: a check that it can work, and a record of it."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import platform
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from rein_seg.errors import UserError

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


@contextlib.contextmanager
def quiet_imports() -> Iterator[None]:
    """Silences the stack's notes about optional parts while it is imported or built.

    Leaves no filter behind: a program that imports the package keeps its own warnings.

    Example:
        >>> import warnings
        >>> from rein_seg.environment import quiet_imports
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

    from rein_seg.fast.onednn_matmul import library
    from rein_seg.fast.switches import SWITCHES

    return {
        'python': sys.version.split()[0],
        'platform': platform.platform(),
        'processor': platform.processor() or platform.machine(),
        'threads': torch.get_num_threads(),
        'products': library(),
        'fast_forms': [name for name, switch in SWITCHES.items() if switch.on],
        'gpu': torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        'packages': {name: _version(name) for name in ('rein-seg', *_RECORDED)},
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
