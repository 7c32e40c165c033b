"""A pinhole camera that looks along a street.

World axes, metres: x to the right of the road's centre line, h up from the ground, z forward from
the camera. A street bends because the camera moves every point sideways by bend * z^2: objects
follow the curve without code of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

SHIFT = 3  # fractional bits of pixel coordinates, as OpenCV takes them
NEAR = 1.0  # metres; nearer points would fly off the picture
_UNIT = 1 << SHIFT


@dataclass(frozen=True)
class Camera:
    """Projects street coordinates to canvas pixels.

    Args:
        width: Canvas width in pixels.
        height: Canvas height in pixels.
        focal: Focal length in pixels.
        x: Lateral position in metres.
        eye: Height above the ground in metres.
        centre: Column of the vanishing point in pixels.
        horizon: Row of the horizon in pixels.
        roll: Rotation of the picture in radians.
        bend: Sideways drift of the street in 1/m.
    """

    width: int
    height: int
    focal: float
    x: float
    eye: float
    centre: float
    horizon: float
    roll: float = 0.0
    bend: float = 0.0

    def fixed(self, points: np.ndarray) -> np.ndarray:
        """Maps points (..., 3) in metres to int32 pixels (..., 2) with SHIFT fractional bits."""
        points = np.asarray(points)
        z = np.maximum(points[..., 2], NEAR)
        scale = (self.focal * _UNIT) / z
        u = points[..., 0] - self.x
        if self.bend:
            u += self.bend * z * z
        u *= scale
        v = (self.eye - points[..., 1]) * scale
        pixels = np.empty((*z.shape, 2), np.int32)
        pixels[..., 0] = u - (self.roll * v - self.centre * _UNIT)
        pixels[..., 1] = v + (self.roll * u + self.horizon * _UNIT)
        return pixels

    def fixed_few(self, points: Iterable[tuple[float, float, float]]) -> np.ndarray:
        """Maps a few points as `fixed` does, without NumPy's cost per call."""
        pixels = []
        for x, h, z in points:
            z = z if z > NEAR else NEAR
            scale = self.focal * _UNIT / z
            u = (x - self.x + self.bend * z * z) * scale
            v = (self.eye - h) * scale
            pixels.append(
                (
                    int(u - self.roll * v + self.centre * _UNIT),
                    int(v + self.roll * u + self.horizon * _UNIT),
                )
            )
        return np.array(pixels, np.int32)

    def column(self, x: float, z: float) -> float:
        """Returns the column in pixels of a point at eye height."""
        return (x - self.x + self.bend * z * z) * self.focal / max(z, NEAR) + self.centre

    def sees(self, x: float, z: float, radius: float) -> bool:
        """Tells whether something upright at (x, z) can reach into the picture's columns."""
        column, reach = self.column(x, z), radius * self.focal / max(z - radius, NEAR)
        return -reach < column < self.width + reach

    def scale(self, z: float) -> float:
        """Returns the length of a metre at distance z, in pixels."""
        return self.focal / max(z, NEAR)

    @property
    def ground_start(self) -> float:
        """Distance in metres at which the ground leaves the picture below, with some margin."""
        return max(NEAR, 0.6 * self.focal * self.eye / max(self.height - self.horizon, 1.0))

    def ground_grid(self, step: int) -> tuple[np.ndarray, np.ndarray, int]:
        """Finds the ground point under every step-th pixel below the horizon.

        Args:
            step: Canvas pixels per cell of the grid.

        Returns:
            x (h, w), z (h, w) in metres, float32, and the first row of the grid, in cells.
        """
        # with a rolled camera the horizon is higher on one side
        reach = abs(self.roll) * self.width / 2
        first = int(np.clip(np.floor((self.horizon - reach) / step), 0, self.height // step - 1))
        rows = (np.arange(first, self.height // step, dtype=np.float32) + 0.5) * step
        columns = (np.arange(self.width // step, dtype=np.float32) + 0.5) * step
        u = columns[None, :] - self.centre
        v = rows[:, None] - self.horizon - self.roll * u
        z = (self.focal * self.eye) / np.maximum(v, 0.25)
        x = u * z / self.focal + self.x - self.bend * z * z
        return x, z, first
