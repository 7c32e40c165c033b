"""Draws smooth, irregular, closed outlines."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from rein_seg.scenes.blobs.sketch import Sketch, smooth

_ANGLES = 512


@dataclass(frozen=True)
class Shape:
    """An outline.

    Args:
        level: (H, W), 1 at the centre, 0 on the outline, negative outside.
        radius: Mean radius in sides.
    """

    level: np.ndarray
    radius: float

    @property
    def inside(self) -> np.ndarray:
        """Pixels inside the outline, (H, W) bool."""
        return self.level > 0

    def cover(self, edge: float) -> np.ndarray:
        """Returns (H, W) 0..1, rising over ``edge`` radii around the outline."""
        return smooth(self.level * (1.0 / edge) + 0.5)

    def dome(self, flatness: float) -> np.ndarray:
        """Returns heights (H, W), 0..1: steep at the outline for a small flatness."""
        level = np.clip(self.level, 0.0, 1.0)
        return cv2.pow(level * (2.0 - level), flatness)


def draw_shape(sketch: Sketch, centre: tuple[float, float], *, radius: float) -> Shape:
    """Draws an outline of random elongation, lobes and bays around a place."""
    x, y = sketch.grid
    bend, cell = sketch.between((0.1, 0.4)) * radius, sketch.between((0.9, 1.6)) * radius
    x = x + (bend * sketch.noise(cell) - np.float32(centre[0]))
    y = y + (bend * sketch.noise(cell) - np.float32(centre[1]))
    turn, aspect = sketch.turn(), sketch.between((1.0, 1.7)) ** 0.5
    cos, sin = math.cos(turn), math.sin(turn)
    along = (cos / aspect) * x + (sin / aspect) * y
    across = (cos * aspect) * y - (sin * aspect) * x
    distance, angle = cv2.cartToPolar(along, across)
    # a table of radii by angle is cheaper than sums of cosines at every pixel
    table = 1.0 / (radius * _outline(sketch.rng))
    nearness = table[(angle * (_ANGLES / (2 * math.pi))).astype(np.int32)]
    return Shape(1.0 - distance * nearness, radius)


def _outline(rng: np.random.Generator) -> np.ndarray:
    """Returns radii about 1 by angle, (_ANGLES + 1,): rounding may reach the full turn."""
    angles = np.arange(_ANGLES + 1) * (2 * math.pi / _ANGLES)
    orders = np.arange(2, 7)[:, None]
    # smaller lobes for higher orders keep the outline smooth
    sizes = rng.normal(0.0, 0.16, (5, 1)) / orders
    phases = rng.uniform(0.0, 2 * math.pi, (5, 1))
    lobes = (sizes * np.cos(orders * angles + phases)).sum(axis=0)
    return np.clip(1.0 + lobes, 0.55, 1.5).astype(np.float32)
