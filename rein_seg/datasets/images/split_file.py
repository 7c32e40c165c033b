"""Reads the JSON files that divide a data set in splits, as CoOp and its followers share them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rein_seg.datasets.files.pairing import read_text
from rein_seg.errors import UserError, near_misses

JSON = '.json'
Row = tuple[str, int, str]


def read_splits(path: Path, split: str | None, where: str) -> list[Row]:
    """Returns image, class index and name of the class of each image of a split.

    Args:
        path: The file: ``{"train": [[PATH, INDEX, CLASS], ...], "val": ..., "test": ...}``.
        split: Its name; None takes all.
        where: Name of the data set, for messages.

    Raises:
        UserError: If the file has another form, or no such split.

    Example:
        >>> from pathlib import Path
        >>> from rein_seg.datasets.images.split_file import read_splits
        >>> _ = Path('splits.json').write_text('{"train": [["Sea/1.jpg", 3, "Sea or Lake"]]}')
        >>> read_splits(Path('splits.json'), 'train', 'eurosat')
        [('Sea/1.jpg', 3, 'Sea or Lake')]
    """
    content = _load(path, where)
    if split is not None and split not in content:
        raise UserError(
            f'{where}: {str(path)!r} has no split {split!r}; {near_misses(split, content)}'
        )
    rows = [row for name, part in content.items() if split in (None, name) for row in part]
    if not rows:
        raise UserError(
            f'{where}: {str(path)!r} lists no image of split {split!r}: expected [path, index, '
            'class] rows; get the file again'
        )
    return rows


def classes_of_splits(path: Path, where: str) -> tuple[str, ...]:
    """Returns the names of the classes, in the order of their indexes.

    Raises:
        UserError: As `read_splits`, or if an index has two names or none.
    """
    names: dict[int, str] = {}
    for _, index, name in read_splits(path, None, where):
        if names.setdefault(index, name) != name:
            raise UserError(
                f'{where}: {str(path)!r} calls class {index} {names[index]!r} and {name!r}: '
                'expected one name; get the file again'
            )
    if sorted(names) != list(range(len(names))):
        raise UserError(
            f'{where}: {str(path)!r} has {len(names)} classes with indexes up to {max(names)}: '
            'expected all from 0; get the file again'
        )
    return tuple(names[index] for index in range(len(names)))


def _load(path: Path, where: str) -> dict[str, list[Row]]:
    if not path.is_file():
        raise UserError(
            f'{where}: ann_file {str(path)!r} does not exist: expected a list of images; put it '
            'there, or correct the path'
        )
    try:
        content = json.loads(read_text(path))
        return {str(key): [_row(row) for row in rows] for key, rows in content.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise UserError(
            f'{where}: {str(path)!r} is no file of splits: expected JSON as {{"train": [["PATH", '
            'INDEX, "CLASS"], ...]}}; get the file again'
        ) from None


def _row(row: Any) -> Row:
    path, index, name = row
    if not isinstance(path, str) or type(index) is not int or not isinstance(name, str):
        raise ValueError(row)
    return path, index, name
