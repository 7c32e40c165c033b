"""Colours for classes that people tell apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from rein_seg.errors import UserError

MOST_COLOURS = 255
# colours come from this grid of RGB values, each next the farthest from the colours before
_STEPS = (0, 51, 102, 153, 204, 255)
# lightness that shows on a photograph, and that black (ignored pixels) is not
_DARKEST, _LIGHTEST = 25.0, 92.0
_LEAST_CHROMA = 20.0  # of the first colours: greys look like parts of a photograph
_GREYS_FROM = 24


def distinct_colours(count: int) -> list[list[int]]:
    """Returns RGB colours, each as far as possible in CIELAB from all colours before it.

    The rule is fixed: the first colours of a longer palette are the shorter palette. None is black
    or white, so ignored pixels can be drawn black.

    Args:
        count: Number of colours, 0 to 255.

    Raises:
        UserError: If there are more colours than labels of one byte have classes.

    Example:
        >>> from rein_seg.palettes import distinct_colours
        >>> distinct_colours(3)
        [[204, 0, 51], [0, 255, 0], [0, 0, 255]]
        >>> distinct_colours(3) == distinct_colours(20)[:3]
        True
    """
    if not 0 <= count <= MOST_COLOURS:
        raise UserError(f'a palette of {count} colours: expected 0 to {MOST_COLOURS}')
    return [list(colour) for colour in _ordered()[:count]]


def palette_for(
    count: int, palette: Sequence[Sequence[int]] | None = None
) -> Sequence[Sequence[int]]:
    """Returns a palette that has a colour for each class, else distinct colours.

    Args:
        count: Number of classes; beyond 255 the distinct colours repeat.
        palette: RGB colours, or None.

    Example:
        >>> from rein_seg.palettes import palette_for
        >>> palette_for(2, [[1, 2, 3], [4, 5, 6]])
        [[1, 2, 3], [4, 5, 6]]
        >>> palette_for(2, [])
        [[204, 0, 51], [0, 255, 0]]
    """
    if palette is not None and len(palette) == count:
        return palette
    colours = distinct_colours(min(count, MOST_COLOURS))
    return [colours[i % len(colours)] for i in range(count)]


def palette_with(names: Sequence[str], known: Mapping[str, Sequence[int]]) -> list[list[int]]:
    """Returns a colour for each name: its known colour, else a colour far from all before.

    Args:
        names: Of the classes.
        known: Name -> RGB colour.

    Example:
        >>> from rein_seg.palettes import palette_with
        >>> palette_with(['road', 'tram'], {'road': [204, 0, 51], 'sky': [0, 0, 255]})
        [[204, 0, 51], [0, 255, 0]]
    """
    taken = [list(map(int, known[name])) for name in names if name in known]
    new = iter(_far_from(taken, len(names) - len(taken)))
    return [list(map(int, known[name])) if name in known else next(new) for name in names]


def _far_from(taken: Sequence[Sequence[int]], count: int) -> list[list[int]]:
    """Returns distinct colours, each the farthest in CIELAB from those taken and those before."""
    if not taken:
        return [list(colour) for colour in palette_for(count)]
    rgb = np.array(_ordered())
    lab = to_lab(rgb)
    near = np.linalg.norm(lab[:, None] - to_lab(np.array(taken)), axis=2).min(1)
    found = []
    for _ in range(count):
        if not near.any():  # all are taken, so colours repeat
            near = np.full(len(lab), np.inf)
        best = int(near.argmax())
        found.append([int(value) for value in rgb[best]])
        near = np.minimum(near, np.linalg.norm(lab - lab[best], axis=1))
    return found


@cache
def _ordered() -> list[tuple[int, int, int]]:
    rgb = np.array([(r, g, b) for r in _STEPS for g in _STEPS for b in _STEPS])
    extra = rgb + np.where(rgb < 128, 25, -26)  # colours between, for long palettes
    rgb = np.unique(np.concatenate([rgb, extra]), axis=0)
    lab = to_lab(rgb)
    shown = (lab[:, 0] > _DARKEST) & (lab[:, 0] < _LIGHTEST)
    rgb, lab = rgb[shown], lab[shown]
    coloured = np.hypot(lab[:, 1], lab[:, 2]) >= _LEAST_CHROMA
    chosen = [int(np.flatnonzero((rgb == (204, 0, 51)).all(1))[0])]
    nearest = np.linalg.norm(lab - lab[chosen[0]], axis=1)
    while len(chosen) < MOST_COLOURS:
        allowed = coloured if len(chosen) < _GREYS_FROM else np.ones_like(coloured)
        chosen.append(int(np.argmax(np.where(allowed, nearest, -1.0))))
        nearest = np.minimum(nearest, np.linalg.norm(lab - lab[chosen[-1]], axis=1))
    return [tuple(int(v) for v in rgb[i]) for i in chosen]


def to_lab(rgb: np.ndarray) -> np.ndarray:
    """Converts sRGB colours to CIELAB under D65.

    Args:
        rgb: (N, 3) values of 0 to 255.

    Returns:
        (N, 3) lightness of 0 to 100, green to red, blue to yellow.
    """
    value = np.asarray(rgb, float) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    )
    xyz = linear @ to_xyz.T / (0.95047, 1.0, 1.08883)
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = root.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)
