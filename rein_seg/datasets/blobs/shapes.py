"""Outlines: smooth, irregular, closed.

Lengths and places are in sides of the picture: 1 is the square root of its area in pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from rein_seg.datasets.procedural import noise
from rein_seg.datasets.procedural.draws import between

_ANGLES = 512


@dataclass(frozen=True)
class Frame:
    """The picture's pixels.

    Args:
        width: In pixels.
        height: In pixels.
    """

    width: int
    height: int

    @property
    def side(self) -> float:
        """Pixels in one side."""
        return math.sqrt(self.width * self.height)

    @property
    def extent(self) -> tuple[float, float]:
        """Width and height in sides."""
        return self.width / self.side, self.height / self.side

    @property
    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Places x and y of the pixels' centres, each (H, W). Read only."""
        return _grid(self.width, self.height)

    def noise(self, rng: np.random.Generator, wave: float) -> np.ndarray:
        """Draws smooth noise (H, W), about -1..1; ``wave`` is its period in sides. Read only."""
        pixels = wave * self.side
        cells = 2 ** round(math.log2(noise.TILE / pixels))
        cells = min(max(cells, 4), 128)
        field = noise.patch(
            rng,
            cells,
            height=self.height,
            width=self.width,
            stretch=pixels * cells / noise.TILE,
        )
        # the tiles are few: turned about, they repeat less
        turn = int(rng.integers(4))
        return field[:: 1 - 2 * (turn & 1), :: 1 - (turn & 2)]


@lru_cache(maxsize=8)
def _grid(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    side = math.sqrt(width * height)
    x = (np.arange(width, dtype=np.float32) + 0.5) / side
    y = (np.arange(height, dtype=np.float32) + 0.5) / side
    grid = np.meshgrid(x, y)
    return np.ascontiguousarray(grid[0]), np.ascontiguousarray(grid[1])


@dataclass(frozen=True)
class Shape:
    """One outline.

    Args:
        level: (H, W), 1 at the centre, 0 on the outline, negative outside.
        radius: In sides.
    """

    level: np.ndarray
    radius: float

    @property
    def inside(self) -> np.ndarray:
        """(H, W) bool."""
        return self.level > 0

    def cover(self, edge: float) -> np.ndarray:
        """Returns (H, W) 0..1, rising over ``edge`` radii around the outline."""
        return smooth(self.level / edge + 0.5)

    def dome(self, flatness: float) -> np.ndarray:
        """Returns heights (H, W), 0..1: steep at the outline for a small flatness."""
        level = np.clip(self.level, 0.0, 1.0)
        return (level * (2.0 - level)) ** flatness


def smooth(x: np.ndarray) -> np.ndarray:
    """Returns the smooth step from 0 (x <= 0) to 1 (x >= 1)."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def draw_shape(
    rng: np.random.Generator, frame: Frame, centre: tuple[float, float], radius: float
) -> Shape:
    """Draws an outline of random elongation, lobes and bays around a place."""
    x, y = frame.grid
    bend = between(rng, 0.1, 0.4) * radius
    wave = between(rng, 0.9, 1.6) * radius
    x = x - np.float32(centre[0]) + bend * frame.noise(rng, wave)
    y = y - np.float32(centre[1]) + bend * frame.noise(rng, wave)
    turn, aspect = rng.uniform(0.0, math.pi), between(rng, 1.0, 1.7) ** 0.5
    cos, sin = math.cos(turn), math.sin(turn)
    distance, angle = cv2.cartToPolar((cos * x + sin * y) / aspect, (cos * y - sin * x) * aspect)
    table = radius * _outline(rng)
    reach = table[(angle * (_ANGLES / (2 * math.pi))).astype(np.int32) % _ANGLES]
    return Shape(1.0 - distance / reach, radius)


def _outline(rng: np.random.Generator) -> np.ndarray:
    """Returns radii by angle (_ANGLES,), about 1."""
    angles = np.arange(_ANGLES) * (2 * math.pi / _ANGLES)
    orders = np.arange(2, 7)[:, None]
    sizes = rng.normal(0.0, 0.16, (5, 1)) / orders
    phases = rng.uniform(0.0, 2 * math.pi, (5, 1))
    lobes = (sizes * np.cos(orders * angles + phases)).sum(axis=0)
    return np.clip(1.0 + lobes, 0.55, 1.5).astype(np.float32)
