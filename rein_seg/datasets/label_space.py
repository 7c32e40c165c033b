"""Checks of a label space: classes, palette, ignored index, map of raw ids.

Labels are bytes on their way through a run: class indexes 0 to K - 1 and the ignored index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rein_seg.errors import UserError

MOST_CLASSES = 255
MOST_RAW_ID = 2**24 - 1  # three bytes, as panoptic ids


def check_label_space(metainfo: Mapping[str, Any], ignore_index: int, where: str) -> None:
    """Checks classes, palette and ignored index of a data set.

    Args:
        metainfo: With ``classes`` and, optionally, ``palette``.
        ignore_index: Of pixels without a class.
        where: Name of the data set, for messages.

    Raises:
        UserError: If there are not 2 to 255 classes, two have one name, the palette has another
            length or no colours, or the ignored index is a class or no byte.

    Example:
        >>> from rein_seg.datasets.label_space import check_label_space
        >>> check_label_space(dict(classes=('road', 'sky')), 255, 'town')
        >>> check_label_space(dict(classes=('road', 'sky')), 1, 'town')
        Traceback (most recent call last):
        rein_seg.errors.UserError: town: ignore_index=1 is the class 'sky': expected a number of ...
    """
    classes = metainfo.get('classes') or ()
    if not isinstance(classes, (list, tuple)) or not all(isinstance(c, str) for c in classes):
        raise UserError(
            f'{where}: classes={classes!r}: expected a list of names, in the order of the indexes'
        )
    classes = tuple(classes)
    _check_number(classes, where)
    twice = sorted({str(name) for name in classes if classes.count(name) > 1})
    if twice:
        raise UserError(f'{where}: classes has {twice} twice: expected a name for each class')
    if not isinstance(ignore_index, int) or not 0 <= ignore_index <= 255:
        raise UserError(
            f'{where}: ignore_index={ignore_index!r}: expected a number of 0 to 255, since labels '
            'are bytes; leave it out for 255, and map raw ids with label_map={raw: 255}'
        )
    if ignore_index < len(classes):
        raise UserError(
            f'{where}: ignore_index={ignore_index} is the class {classes[ignore_index]!r}: '
            f'expected a number of {len(classes)} to 255; leave it out for 255, and ignore raw ids '
            'with label_map={raw: 255}'
        )
    _check_palette(metainfo.get('palette'), classes, where)


def _check_number(classes: Sequence[str], where: str) -> None:
    if len(classes) == 1:
        raise UserError(
            f'{where}: its only class is {classes[0]!r}: expected 2 to {MOST_CLASSES} classes, '
            'since with one class loss and gradient are 0 and every score is 100; name the rest, '
            f'too: classes=({"background"!r}, {classes[0]!r}); BinaryFolderDataset reads masks of '
            'one thing, and decode_head.out_channels=1 with a sigmoid loss gives it one channel'
        )
    if len(classes) > MOST_CLASSES:
        raise UserError(
            f'{where} has {len(classes)} classes: expected 2 to {MOST_CLASSES}, since labels are '
            'bytes and 255 is ignored; merge classes with label_map'
        )


def _check_palette(palette: Any, classes: Sequence[str], where: str) -> None:
    if not palette:  # mmseg draws colours
        return
    try:
        good = all(len(colour) == 3 and all(0 <= v <= 255 for v in colour) for colour in palette)
    except TypeError:
        good = False
    if not good or len(palette) != len(classes):
        raise UserError(
            f'{where}: palette has {len(palette)} entries for {len(classes)} classes: expected a '
            'colour [R, G, B] of 0 to 255 for each class; leave it out to have colours drawn'
        )


def check_label_map(label_map: Mapping[Any, Any] | None, where: str) -> dict[int, int] | None:
    """Returns a map of raw ids with whole numbers.

    Raises:
        UserError: If it has no entry, or something else than raw ids and indexes.

    Example:
        >>> from rein_seg.datasets.label_space import check_label_map
        >>> check_label_map({'7': 0}, 'town')
        {7: 0}
    """
    if label_map is None:
        return None
    try:
        found = {int(raw): int(index) for raw, index in label_map.items()}
    except (AttributeError, TypeError, ValueError):
        found = {}
    if not found or min(found) < 0 or max(found) > MOST_RAW_ID:
        raise UserError(
            f'{where}: label_map={label_map!r}: expected {{raw id: class index or 255}} with raw '
            f'ids of 0 to {MOST_RAW_ID}; None for labels of class indexes'
        )
    return found
