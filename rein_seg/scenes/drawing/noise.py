"""Noise tiles that wrap around; all scenes share them and cut patches at random offsets."""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np

TILE = 256


@lru_cache(maxsize=16)
def tile(cells: int) -> np.ndarray:
    """Builds a smooth tile (TILE, TILE), float32, about -1..1, with the given cells per side."""
    rng = np.random.default_rng(cells)
    coarse = rng.uniform(-1.0, 1.0, (cells, cells)).astype(np.float32)
    # cubic interpolation reads two cells to each side
    wrapped = np.pad(coarse, 2, mode='wrap')
    factor = TILE // cells
    size = (cells + 4) * factor
    big = cv2.resize(wrapped, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(big[2 * factor : -2 * factor, 2 * factor : -2 * factor])


@lru_cache(maxsize=16)
def _carpet(cells: int, tiles: int) -> np.ndarray:
    return np.tile(tile(cells), (tiles, tiles))


def patch(
    rng: np.random.Generator, cells: int, *, height: int, width: int, stretch: float = 1.0
) -> np.ndarray:
    """Cuts a random patch (height, width) from a tile, enlarged `stretch` times. Read only."""
    rows, columns = math.ceil(height / stretch), math.ceil(width / stretch)
    carpet = _carpet(cells, 1 + math.ceil(max(rows, columns) / TILE))
    top, left = rng.integers(TILE, size=2).tolist()
    cut = carpet[top : top + rows, left : left + columns]
    if cut.shape == (height, width):
        return cut
    return cv2.resize(cut, (width, height), interpolation=cv2.INTER_LINEAR)


def add_grain(rng: np.random.Generator, image: np.ndarray, *, deviation: float) -> np.ndarray:
    """Adds sensor noise to an image (H, W, C), float32, and rounds it to uint8."""
    raw = np.frombuffer(rng.bytes(2 * image.size), np.uint8).reshape(2, *image.shape)
    # The sum of two uniform bytes is close enough to a normal distribution and much cheaper to
    # draw; its deviation is 104.5, its mean 255.
    total = cv2.add(raw[0], raw[1], dtype=cv2.CV_32F)
    factor = deviation / 104.5
    return cv2.addWeighted(image, 1.0, total, factor, -255.0 * factor, dtype=cv2.CV_8U)
