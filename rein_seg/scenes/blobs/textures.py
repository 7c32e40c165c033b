"""Textures of blobs, and vessels of the ground around them."""

from __future__ import annotations

import math

import cv2
import numpy as np

from rein_seg.scenes.blobs.sketch import Sketch, smooth

_SHIFT = 3
_STEPS = 20  # points N of a vessel's path


def pits(sketch: Sketch) -> np.ndarray:
    """Draws small dark openings in a lighter surface, about -1..1."""
    field = sketch.noise(sketch.between((0.017, 0.026)))
    return 0.45 - 1.5 * smooth(2.2 * field - 0.1)


def coils(sketch: Sketch) -> np.ndarray:
    """Draws winding ridges, as of a brain, about -1..1."""
    field = sketch.noise(sketch.between((0.022, 0.036)))
    return 1.6 * smooth(1.0 - 2.6 * np.abs(field)) - 0.5


def grain(sketch: Sketch) -> np.ndarray:
    """Draws a fine granular surface, about -1..1."""
    return 1.3 * sketch.noise(sketch.between((0.015, 0.019)))


def patches(sketch: Sketch) -> np.ndarray:
    """Draws blotches with firm borders, about -1..1."""
    return np.tanh(5.0 * sketch.noise(sketch.between((0.035, 0.06))) + 1.5 * grain(sketch))


PATTERNS = (pits, coils, grain, patches)  # in the order of Look.patterns


def vessels(sketch: Sketch) -> np.ndarray:
    """Draws branching vessels, 0..1."""
    rng = sketch.rng
    count = int(rng.integers(4, 10))
    trunks = _wander(
        rng,
        rng.uniform(-0.05, 1.05, (count, 2)) * sketch.extent,
        heading=rng.uniform(0.0, 2 * math.pi, count),
        length=rng.uniform(0.5, 1.2, count),
    )
    branches = _branch(rng, trunks, count=5 * count, length=(0.15, 0.5))
    twigs = _branch(rng, branches, count=6 * count, length=(0.05, 0.2))
    picture = np.zeros((sketch.height, sketch.width), np.uint8)
    for paths, value, width in ((twigs, 90, 1.0), (branches, 150, 1.0), (trunks, 215, 1.4)):
        points = np.rint(paths * (sketch.side * (1 << _SHIFT))).astype(np.int32)
        thick = max(1, round((width + rng.uniform(-0.3, 0.3)) * sketch.scale))
        cv2.polylines(picture, list(points), False, value, thick, cv2.LINE_AA, _SHIFT)
    return cv2.GaussianBlur(picture, (0, 0), 0.5 * sketch.scale) * np.float32(1 / 255)


def _branch(
    rng: np.random.Generator, stems: np.ndarray, *, count: int, length: tuple[float, float]
) -> np.ndarray:
    """Returns paths (count, N, 2) that leave paths (M, N, 2) sideways."""
    stem = rng.integers(len(stems), size=count)
    point = rng.integers(_STEPS - 1, size=count)
    start = stems[stem, point]
    ahead = stems[stem, point + 1] - start
    side = np.where(rng.random(count) < 0.5, -1.0, 1.0)
    heading = np.arctan2(ahead[:, 1], ahead[:, 0]) + side * rng.uniform(0.35, 1.2, count)
    return _wander(rng, start, heading=heading, length=rng.uniform(*length, count))


def _wander(
    rng: np.random.Generator, start: np.ndarray, *, heading: np.ndarray, length: np.ndarray
) -> np.ndarray:
    """Returns paths (M, N, 2) from places (M, 2) that bend as they go."""
    count = len(start)
    # summed twice: a smooth change of curvature, not a random zigzag
    bends = np.cumsum(np.cumsum(rng.normal(0.0, 0.05, (count, _STEPS)), axis=1), axis=1)
    angles = heading[:, None] + bends + rng.normal(0.0, 0.15, (count, _STEPS))
    moves = np.stack([np.cos(angles), np.sin(angles)], axis=2) * (length / _STEPS)[:, None, None]
    return start[:, None] + np.cumsum(moves, axis=1) - moves[:, :1]
