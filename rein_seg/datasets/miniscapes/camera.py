"""One pinhole camera that looks along a street.

World axes, metres: x to the right of the road's centre line, h up from the ground, z forward from the
camera. A street bends by moving every point sideways by bend * z^2, so that objects follow the curve
without knowing it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SHIFT = 3
NEAR = 0.6
_FAR_PIXEL = 20000.0


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

    def project(self, points: np.ndarray) -> np.ndarray:
        """Maps points (..., 3) as (x, h, z) in metres to pixels (..., 2) as (column, row)."""
        points = np.asarray(points, np.float64)
        z = np.maximum(points[..., 2], NEAR)
        scale = self.focal / z
        u = (points[..., 0] - self.x + self.bend * z * z) * scale
        v = (self.eye - points[..., 1]) * scale
        pixels = np.empty(points.shape[:-1] + (2,))
        pixels[..., 0] = u - self.roll * v + self.centre
        pixels[..., 1] = v + self.roll * u + self.horizon
        return pixels

    def fixed(self, points: np.ndarray) -> np.ndarray:
        """Projects like `project`, as int32 with SHIFT fractional bits, as OpenCV's drawing takes it."""
        pixels = self.project(points)
        np.clip(pixels, -_FAR_PIXEL, _FAR_PIXEL, out=pixels)
        return np.rint(pixels * (1 << SHIFT)).astype(np.int32)

    def scale(self, z: float) -> float:
        """Returns how many pixels a metre takes at distance z."""
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
        reach = abs(self.roll) * self.width / 2
        first = int(np.clip(np.floor((self.horizon - reach) / step), 0, self.height // step - 1))
        rows = (np.arange(first, self.height // step, dtype=np.float32) + 0.5) * step
        columns = (np.arange(self.width // step, dtype=np.float32) + 0.5) * step
        u = columns[None, :] - self.centre
        v = rows[:, None] - self.horizon - self.roll * u
        z = (self.focal * self.eye) / np.maximum(v, 0.25)
        x = u * z / self.focal + self.x - self.bend * z * z
        return x, z, first
