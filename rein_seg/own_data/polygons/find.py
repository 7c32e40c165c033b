"""Finds an export of polygons in a folder, by the content of its files."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from rein_seg.datasets.files.walk import walk
from rein_seg.errors import UserError
from rein_seg.own_data.layouts import WRITTEN
from rein_seg.own_data.names import LABELS, read_place
from rein_seg.own_data.polygons.coco import is_coco, read_coco
from rein_seg.own_data.polygons.cvat import read_cvat
from rein_seg.own_data.polygons.labelme import is_labelme, read_labelme
from rein_seg.own_data.polygons.shapes import Drawing

MOST_BYTES = 2**30
_PICTURES = ('.png', '.tif', '.tiff', '.bmp', '.gif')


@dataclass
class Export:
    """An export of polygons.

    Attributes:
        kind: COCO, LabelMe or CVAT.
        drawings: Areas of each image.
        names: Of the classes, in the export's order; empty if it has none.
        left_out: Reason -> number of shapes that are no area.
    """

    kind: str
    drawings: list[Drawing]
    names: list[str]
    left_out: Counter[str] = field(default_factory=Counter)


def find_export(folder: Path) -> Export | None:
    """Returns the export of polygons in a folder; None without, or beside pictures of labels.

    Raises:
        UserError: If its files are damaged, or of two kinds.
    """
    files = {
        name: path
        for name, path in sorted(walk(str(folder), Counter()).items())
        if PurePosixPath(name).parts[0] not in WRITTEN
    }
    pictures = [name for name in files if PurePosixPath(name).suffix.lower() in _PICTURES]
    if any(read_place(name).role == LABELS for name in pictures):
        return None
    found: dict[str, Export] = {}
    for name, path in files.items():
        suffix = PurePosixPath(name).suffix.lower()
        if suffix not in ('.json', '.xml') or Path(path).stat().st_size > MOST_BYTES:
            continue
        one = _json(Path(path), name) if suffix == '.json' else _xml(Path(path), name)
        if one is None:
            continue
        known = found.setdefault(one.kind, Export(one.kind, [], []))
        known.drawings += one.drawings
        known.names += [label for label in one.names if label not in known.names]
        known.left_out += one.left_out
    if len(found) > 1:
        raise UserError(
            f'{str(folder)!r} holds exports of {" and ".join(found)}: expected one; move the other '
            'files away'
        )
    return next(iter(found.values()), None)


def _json(path: Path, name: str) -> Export | None:
    try:
        content: Any = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(
            f'{name} is no JSON: {error}: expected an export of polygons; export it again, or move '
            'the file away'
        ) from error
    left_out: Counter[str] = Counter()
    if is_coco(content):
        drawings, names = read_coco(content, name, left_out)
        return Export('COCO', drawings, names, left_out)
    if is_labelme(content):
        return Export('LabelMe', [read_labelme(content, name, left_out)], [], left_out)
    return None


def _xml(path: Path, name: str) -> Export | None:
    left_out: Counter[str] = Counter()
    found = read_cvat(path.read_bytes(), name, left_out)
    return None if found is None else Export('CVAT', *found, left_out)
