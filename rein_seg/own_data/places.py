"""Where files of a data file lie."""

from __future__ import annotations

import os
from pathlib import Path

from rein_seg.config.data_file.benchmark import clean_name

_LONGEST = 60  # letters of a name


def root_of(root: Path, file: Path) -> str | None:
    """Returns the folder of the data for a data file that lies elsewhere, relative to it."""
    parent = os.path.realpath(file.parent)
    if parent == os.path.realpath(root):
        return None
    if parent != os.path.abspath(file.parent):  # through a link, .. is another folder
        return os.path.realpath(root)
    return os.path.relpath(os.path.realpath(root), parent)


def place_of(folder: str, root: Path, file: Path) -> str:
    """Returns the folder, below the data, of files that a data file alone has.

    Each data file has its own, so that a second leaves the files of the first as they are.

    Example:
        >>> from pathlib import Path
        >>> from rein_seg.own_data.places import place_of
        >>> place_of('data_lists', Path('town'), Path('town/data.yaml'))
        'data_lists'
        >>> place_of('data_lists', Path('town'), Path('town/b.yaml'))
        'data_lists/b.yaml'
        >>> place_of('data_lists', Path('town'), Path('b.yaml'))
        'data_lists/up_b.yaml'
    """
    name = os.path.relpath(os.path.realpath(file), os.path.realpath(root)).replace('..', 'up')
    if name == 'data.yaml':
        return folder
    return f'{folder}/{clean_name(name[-_LONGEST:].replace(os.sep, "_"))}'
