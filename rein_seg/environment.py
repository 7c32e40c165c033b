"""The installed packages: a check that they work together, and a record of their versions."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import io
import logging
import platform
import re
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from rein_seg.errors import UserError

# these share their import names with the onedl-* forks and overwrite their files
_UPSTREAM = ('mmengine', 'mmengine-lite', 'mmcv', 'mmcv-lite', 'mmsegmentation', 'mmpretrain')
_KNOWN_WARNINGS = (
    'Fail to import ``MultiScaleDeformableAttention``',
    '.*torch.jit.script.*',
    '.*``avg_non_ignore``.*',
)
# builds of OpenCV: all are imported as cv2, so a second one overwrites files of the first
_OPENCV = (
    'opencv-python',
    'opencv-python-headless',
    'opencv-contrib-python',
    'opencv-contrib-python-headless',
)
# oldest and newest minor version that the test suite passed with; all versions: constraints.txt
TESTED = {
    'torch': ('2.14', '2.14'),
    'numpy': ('2.2', '2.5'),
    'timm': ('1.0', '1.0'),
    'opencv-python': ('5.0', '5.0'),
}
_RECORDED = (
    'torch',
    'torchvision',
    'onedl-mmengine',
    'onedl-mmcv',
    'onedl-mmsegmentation',
    'onedl-mmpretrain',
    'numpy',
    'safetensors',
    'scipy',
    'timm',
)


def check_environment() -> None:
    """Checks that the installed packages can work; logs a line about untested versions, once.

    Raises:
        UserError: If an upstream mm* package is installed beside the onedl-* forks, or OpenCV
            cannot be loaded.

    Example:
        >>> from rein_seg.environment import check_environment
        >>> check_environment()
    """
    found = [name for name in _UPSTREAM if _version(name) is not None]
    if found:
        raise UserError(
            f'the packages {found} are installed beside their onedl-* forks and overwrite their '
            f'files; run: pip uninstall {" ".join(found)} && pip install --force-reinstall '
            'onedl-mmengine onedl-mmcv onedl-mmsegmentation onedl-mmpretrain'
        )
    _check_opencv()
    _log_once(untested(), several_builds())


def untested() -> str:
    """Returns a line that names packages with versions outside of the tested range, or ''."""
    found = []
    for name, (oldest, newest) in TESTED.items():
        version = _version(name)
        if version and not _minor(oldest) <= _minor(version) <= _minor(newest):
            tested = oldest if oldest == newest else f'{oldest} to {newest}'
            found.append(f'{name} {version} (tested: {tested})')
    return f'untested versions: {", ".join(found)}; tested ones: constraints.txt' if found else ''


def several_builds() -> str:
    """Returns a line that names builds of OpenCV installed beside each other, or ''."""
    builds = _opencv()
    if len(builds) < 2:
        return ''
    return (
        f'several builds of OpenCV are installed and overwrite each other: {", ".join(builds)}; '
        f'run: pip uninstall -y {" ".join(builds)} && pip install {builds[0]}'
    )


def _opencv() -> list[str]:
    return [name for name in _OPENCV if _version(name)]


@functools.cache
def _log_once(*lines: str) -> None:
    for line in filter(None, lines):
        logging.getLogger('rein_seg').warning(line)


def _check_opencv() -> None:
    try:
        import cv2  # noqa: F401
    except ImportError as error:
        build = _version('opencv-python')
        release = f'=={build}' if build else ''
        raise UserError(
            f'OpenCV cannot be loaded: {error}; install the library that is missing (libGL: '
            'apt-get install libgl1 libglib2.0-0), or the build that needs none in its place: pip '
            'uninstall -y opencv-python && pip install --no-deps opencv-python-headless'
            f'{release}'
        ) from None


def _minor(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r'\d+', version)[:2]))


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
        'packages': {name: _version(name) for name in ('rein-seg', *_RECORDED, *_opencv())},
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
