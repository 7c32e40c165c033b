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
    """Silences what the stack prints at import about optional parts, and its known warnings."""
    warnings.filterwarnings('ignore', message='Fail to import ``MultiScaleDeformableAttention``')
    warnings.filterwarnings('ignore', message='.*torch.jit.script.*', category=DeprecationWarning)
    warnings.filterwarnings('ignore', message='.*``avg_non_ignore``.*')
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def describe_environment() -> dict[str, Any]:
    """Returns versions of Python, the platform and the packages that results depend on."""
    import torch

    return {
        'python': sys.version.split()[0],
        'platform': platform.platform(),
        'processor': platform.processor() or platform.machine(),
        'threads': torch.get_num_threads(),
        'gpu': torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        'packages': {name: _version(name) for name in ('rein-seg', *_RECORDED)},
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
