"""Areas of a class in an image: polygons, boxes, run lengths, small masks; drawn to a label."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rein_seg.errors import UserError

Ring = list[tuple[float, float]]
_CIRCLE = 64  # corners of a drawn circle


@dataclass
class Shape:
    """An area.

    Attributes:
        label: Name of its class.
        rings: Polygons, (x, y) in pixels from the upper left corner; the area is their union.
        mask: Or (h, w) bool, at ``corner`` (x, y).
        corner: Of the mask.
    """

    label: str
    rings: list[Ring] = field(default_factory=list)
    mask: np.ndarray | None = None
    corner: tuple[int, int] = (0, 0)


@dataclass
class Drawing:
    """The areas of one image, in the order of the file.

    Attributes:
        image: Path or name of the image, as the export has it.
        size: (height, width), None if the export does not say.
        shapes: Later shapes cover earlier shapes.
        split: train, val, test or None, where the export says.
        file: Of the export, for messages.
    """

    image: str
    size: tuple[int, int] | None
    shapes: list[Shape]
    split: str | None = None
    file: str = ''


def draw(
    drawing: Drawing, size: tuple[int, int], ids: Mapping[str, int], outside: int
) -> np.ndarray:
    """Returns the (H, W) uint8 label of an image.

    Args:
        drawing: Its areas.
        size: (H, W) of the image.
        ids: Name of a class -> value.
        outside: Value of pixels in no area.

    Example:
        >>> from rein_seg.own_data.polygons.shapes import Drawing, Shape, draw
        >>> square = Shape('leaf', rings=[[(1, 0), (3, 0), (3, 2), (1, 2)]])
        >>> draw(Drawing('a.png', None, [square]), (2, 4), {'leaf': 1}, 0)
        array([[0, 1, 1, 0],
               [0, 1, 1, 0]], dtype=uint8)
    """
    label = np.full(size, outside, np.uint8)
    for shape in drawing.shapes:
        value = ids[shape.label]
        for ring in shape.rings:
            _fill(label, ring, value)
        if shape.mask is not None:
            _paste(label, shape.mask, shape.corner, value)
    return label


def _fill(label: np.ndarray, ring: Ring, value: int) -> None:
    """Sets the pixels whose centre is inside of a polygon, by the even-odd rule."""
    height, width = label.shape
    x, y = np.array(ring, float).T
    first, last = max(0, math.floor(y.min())), min(height, math.ceil(y.max()))
    if len(ring) < 3 or first >= last:
        return
    rows = np.arange(first, last) + 0.5
    x1, y1 = np.roll(x, -1), np.roll(y, -1)
    # (rows, edges): an edge counts for centres from its upper end up to, not with, its lower end
    crossed = (y <= rows[:, None]) != (y1 <= rows[:, None])
    slope = np.divide(x1 - x, y1 - y, out=np.zeros_like(x), where=y1 != y)
    at = x + (rows[:, None] - y) * slope
    column = np.clip(np.ceil(at - 0.5), 0, width).astype(np.int64)
    row, edge = np.nonzero(crossed)
    turns = np.zeros((len(rows), width + 1), np.int32)
    np.add.at(turns, (row, column[row, edge]), 1)
    label[first:last][np.cumsum(turns, axis=1)[:, :-1] % 2 == 1] = value


def _paste(label: np.ndarray, mask: np.ndarray, corner: tuple[int, int], value: int) -> None:
    left, top = corner
    height, width = label.shape
    upper, lower = max(0, top), min(height, top + mask.shape[0])
    begin, end = max(0, left), min(width, left + mask.shape[1])
    if upper < lower and begin < end:
        part = mask[upper - top : lower - top, begin - left : end - left]
        label[upper:lower, begin:end][part] = value


def ring_of(points: Any, file: str) -> Ring:
    """Returns a polygon of points or of a flat list of coordinates.

    Raises:
        UserError: If it has something else than finite numbers, or fewer than three points.
    """
    try:
        flat = np.array(points, float).ravel()
    except (TypeError, ValueError):
        flat = np.empty(0)
    if flat.size < 6 or flat.size % 2 or not np.isfinite(flat).all() or np.abs(flat).max() > 1e7:
        said = repr(points)
        raise UserError(
            f'{file}: polygon {said if len(said) < 60 else said[:60] + "..."}: expected three '
            'points or more of finite numbers; correct it, or export again'
        )
    return [(float(x), float(y)) for x, y in flat.reshape(-1, 2)]


def box(x1: float, y1: float, x2: float, y2: float) -> Ring:
    """Returns the polygon of a box."""
    return [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]


def ellipse(cx: float, cy: float, rx: float, ry: float) -> Ring:
    """Returns a polygon of an ellipse."""
    angles = [2 * math.pi * i / _CIRCLE for i in range(_CIRCLE)]
    return [(cx + rx * math.cos(a), cy + ry * math.sin(a)) for a in angles]


def turned(ring: Ring, degrees: float) -> Ring:
    """Returns a polygon turned about its centre, clockwise where y points down.

    Example:
        >>> from rein_seg.own_data.polygons.shapes import box, turned
        >>> [(round(x), round(y)) for x, y in turned(box(0, 2, 6, 4), 90)]
        [(4, 0), (4, 6), (2, 6), (2, 0)]
    """
    if not degrees:
        return ring
    points = np.array(ring)
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    centre = points.mean(axis=0)
    found = (points - centre) @ np.array([[cosine, sine], [-sine, cosine]]) + centre
    return [(float(x), float(y)) for x, y in found]


def from_runs(
    runs: Sequence[int], size: tuple[int, int], file: str, *, by_column: bool
) -> np.ndarray:
    """Returns the (h, w) bool mask of run lengths: off, on, off, ...

    Raises:
        UserError: If the runs do not fill the size.
    """
    height, width = size
    numbers = np.array(runs, np.int64) if len(runs) else np.zeros(0, np.int64)
    if (numbers < 0).any() or numbers.sum() != height * width:
        raise UserError(
            f'{file}: run lengths of {int(numbers.sum())} pixels for a mask of {height}x{width}: '
            'expected as many pixels as the mask has; export again'
        )
    flat = np.repeat(np.arange(len(numbers)) % 2 == 1, numbers)
    return flat.reshape(width, height).T if by_column else flat.reshape(height, width)


def decode_runs(text: str) -> list[int]:
    """Returns the run lengths of COCO's compressed form.

    A number is written in groups of five bits, the lowest first, each plus 48 as a letter; bit 32
    says that more follow, bit 16 of the last is the sign. From the fourth number on, the
    difference to the number two places before is written.

    Example:
        >>> from rein_seg.own_data.polygons.shapes import decode_runs
        >>> decode_runs('123')
        [1, 2, 3]
    """
    runs: list[int] = []
    number = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        number |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            number -= 1 << shift
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
        number = shift = 0
    return runs
