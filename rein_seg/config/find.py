"""Finds configs by path or by name: the shipped configs are part of the package."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from rein_seg.errors import UserError, near_misses

CONFIGS = Path(str(files('rein_seg') / 'configs'))


def shipped_configs() -> list[str]:
    """Returns the names of the configs in the package, sorted.

    Example:
        >>> from rein_seg.config.find import shipped_configs
        >>> [name for name in shipped_configs() if name.startswith('rein_tiny')]
        ['rein_tiny_camvid', ...]
    """
    return sorted(path.stem for path in CONFIGS.glob('*.py'))


def find_config(name: str) -> str:
    """Returns the path of a config file.

    Args:
        name: Path of a file, or name of a shipped config, with or without ``.py``. A file that
            exists is taken first.

    Raises:
        UserError: If it is neither, with the near misses in the folder and in the package.

    Example:
        >>> from pathlib import Path
        >>> from rein_seg.config.find import find_config
        >>> Path(find_config('rein_tiny_miniscapes')).name
        'rein_tiny_miniscapes.py'
    """
    if '\0' in name or not name.strip():
        raise UserError(f'config {name!r} is no path: give a file, or the name of a shipped config')
    path = Path(name).expanduser()
    for place in (path, CONFIGS / path, CONFIGS / f'{path}.py'):
        if place.is_file():
            return str(place)
    if path.exists():
        kind = 'a folder' if path.is_dir() else 'no plain file'
        raise UserError(f'config {name!r} is {kind}: give a file')
    known = [*shipped_configs(), *map(str, path.parent.glob('*.py'))]
    hint = near_misses(name, known, otherwise="give a path, or a name such as 'rein_dinov2_gtav'")
    raise UserError(f'config {name!r} does not exist: no such file, no shipped config; {hint}')
