"""What lies where: parcels, ponds, lawns, roads and buildings.

H x W image.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from rein_seg.scenes.drawing import noise
from rein_seg.scenes.drawing.draws import between, weighted

CLASSES = ('soil', 'crop', 'forest', 'water', 'turf', 'road', 'building')
SOIL, CROP, FOREST, WATER, TURF, ROAD, BUILDING = range(len(CLASSES))
_PARCELS = (SOIL, CROP, FOREST, WATER)
_WEIGHTS = (3, 4, 3, 1)
# drawn on the parcels, in this order: class, most of them, sides as shares of the image
_THINGS = (
    (TURF, 3, (0.16, 0.3)),
    (WATER, 2, (0.15, 0.3)),
    (ROAD, 2, (0.12, 0.22)),  # paved yards, as large as roofs
    (BUILDING, 5, (0.1, 0.22)),
)


def draw_land(rng: np.random.Generator, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws the classes (H, W) uint8 and the number of the parcel or thing (H, W) of each pixel.

    Args:
        rng: Generator of the image.
        height: H.
        width: W.
    """
    label, owner = _parcels(rng, height, width)
    side, number = min(height, width), int(owner.max())
    for kind, most, sides in _THINGS[:2]:
        number = _scatter(rng, label, owner, kind, int(rng.integers(most + 1)), sides, number)
    for _ in range(int(rng.integers(1, 3))):
        number += 1
        _road(rng, label, owner, max(3, round(side * between(rng, 0.035, 0.06))), number)
    for kind, most, sides in _THINGS[2:]:
        number = _scatter(rng, label, owner, kind, int(rng.integers(1, most + 1)), sides, number)
    return label, owner


def _parcels(rng: np.random.Generator, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    count = int(rng.integers(5, 9))
    seeds = rng.random((count, 2)) * (height, width)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    # curved borders, as of fields that follow the ground
    bend = noise.patch(rng, 8, height=height, width=width, stretch=min(height, width) / 128)
    y, x = y + 6 * bend, x - 6 * bend
    far = [(y - top) ** 2 + (x - left) ** 2 for top, left in seeds]
    owner = np.argmin(far, 0).astype(np.int32)
    kinds = [_PARCELS[weighted(rng, _WEIGHTS)] for _ in range(count)]
    return np.uint8(kinds)[owner], owner


def _scatter(
    rng: np.random.Generator,
    label: np.ndarray,
    owner: np.ndarray,
    kind: int,
    count: int,
    sides: tuple[float, float],
    number: int,
) -> int:
    """Draws rectangles, of water ellipses; returns the number of the last."""
    height, width = label.shape
    side = min(height, width)
    for _ in range(count):
        number += 1
        centre = (between(rng, 0, width), between(rng, 0, height))
        size = (side * between(rng, *sides), side * between(rng, *sides))
        box = (centre, size, between(rng, 0, 90))
        if kind == WATER:
            for target, value in ((label, kind), (owner, number)):
                cv2.ellipse(target, box, value, cv2.FILLED)
            continue
        corners = np.rint(cv2.boxPoints(box)).astype(np.int32)
        for target, value in ((label, kind), (owner, number)):
            cv2.fillPoly(target, [corners], value)
    return number


def _road(
    rng: np.random.Generator, label: np.ndarray, owner: np.ndarray, thick: int, number: int
) -> None:
    height, width = label.shape
    angle, reach = between(rng, 0, math.pi), height + width
    middle = np.array([between(rng, 0.2, 0.8) * width, between(rng, 0.2, 0.8) * height])
    way = np.array([math.cos(angle), math.sin(angle)])
    side = np.array([-way[1], way[0]]) * between(rng, -0.12, 0.12) * min(height, width)
    line = [middle - reach * way, middle - 0.3 * width * way, middle + side, middle + reach * way]
    points = np.rint(line).astype(np.int32)
    for target, value in ((label, ROAD), (owner, number)):
        cv2.polylines(target, [points], False, value, thick)
