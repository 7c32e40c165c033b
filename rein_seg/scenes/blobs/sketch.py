"""The picture in the making: its pixels, its domain and a source of random draws.

Lengths and places are in sides of the picture: 1 is the square root of its area in pixels. Arrays
are (H, W), colours (3, H, W), blue first; all are float32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from rein_seg.scenes.blobs.domains import Look, Range
from rein_seg.scenes.drawing import noise
from rein_seg.scenes.drawing.draws import between

# side in pixels of the usual size; larger pictures show the same content, enlarged
REFERENCE = 128


@dataclass(frozen=True)
class Sketch:
    """A picture in the making.

    Args:
        rng: Source of draws.
        look: The domain.
        width: Width in pixels.
        height: Height in pixels.
    """

    rng: np.random.Generator
    look: Look
    width: int
    height: int

    @property
    def side(self) -> float:
        """Pixels in one side."""
        return math.sqrt(self.width * self.height)

    @property
    def scale(self) -> float:
        """Enlargement over a picture of the usual size."""
        return self.side / REFERENCE

    @property
    def extent(self) -> tuple[float, float]:
        """Width and height in sides."""
        return self.width / self.side, self.height / self.side

    @property
    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Places x and y of the pixels' centres. Read only."""
        return _grid(self.width, self.height)

    def between(self, span: Range) -> float:
        """Draws uniformly from a range."""
        return between(self.rng, *span)

    def turn(self) -> float:
        """Draws an angle in radians."""
        return self.rng.uniform(0.0, 2 * math.pi)

    def place(self, margin: float = 0.0) -> tuple[float, float]:
        """Draws a place at a distance from the borders, as a share of the picture."""
        x, y = self.rng.uniform(margin, 1.0 - margin, 2).tolist()
        return x * self.extent[0], y * self.extent[1]

    def noise(self, cell: float) -> np.ndarray:
        """Draws smooth noise, about -1..1; ``cell`` is the distance of its knots. Read only."""
        # tiles exist for powers of two; the patch is enlarged to the exact distance
        cells = 2 ** round(math.log2(noise.TILE / (cell * REFERENCE)))
        cells = min(max(cells, 4), 128)
        stretch = cell * self.side * cells / noise.TILE
        field = noise.patch(self.rng, cells, height=self.height, width=self.width, stretch=stretch)
        # flipped tiles repeat less visibly: there are only a few
        flips = int(self.rng.integers(4))
        return field[:: 1 - 2 * (flips & 1), :: 1 - (flips & 2)]


@lru_cache(maxsize=8)
def _grid(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    side = math.sqrt(width * height)
    x = (np.arange(width, dtype=np.float32) + 0.5) / np.float32(side)
    y = (np.arange(height, dtype=np.float32) + 0.5) / np.float32(side)
    grid = np.meshgrid(x, y)
    return np.ascontiguousarray(grid[0]), np.ascontiguousarray(grid[1])


def smooth(x: np.ndarray) -> np.ndarray:
    """Returns the smooth step from 0 (x <= 0) to 1 (x >= 1)."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def by_colour(values: np.ndarray) -> np.ndarray:
    """Returns three numbers as (3, 1, 1), float32, to go with (H, W)."""
    return np.float32(values).reshape(3, 1, 1)
