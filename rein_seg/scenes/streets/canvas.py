"""Draws image and label together, so that both always agree.

The canvas is SUPERSAMPLE times larger than the scene in both directions and is averaged down at the
end: this smooths the picture's edges while each label pixel keeps one class.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import cv2
import numpy as np

from rein_seg.scenes.streets import labels
from rein_seg.scenes.streets.air import Air
from rein_seg.scenes.streets.camera import SHIFT, Camera
from rein_seg.scenes.streets.looks import Colour

SUPERSAMPLE = 2  # four canvas pixels a pixel: edges are smooth enough, at four times the cost
_UNIT = 1 << SHIFT


class Canvas:
    """A picture and its labels, painted from far to near.

    Args:
        camera: Camera whose pixels are the canvas pixels.
        air: Light and haze.
        rng: Source of the drawing's details.
    """

    def __init__(self, camera: Camera, air: Air, *, rng: np.random.Generator):
        self.camera = camera
        self.air = air
        self.rng = rng
        self._faded = (-1.0, 0.0, 0.0, 0.0, 0.0)
        self.image = np.zeros((camera.height, camera.width, 3), np.uint8)
        self.label = np.full((camera.height, camera.width), labels.SKY, np.uint8)

    def tone(self, colour: Colour, z: float, shade: float = 1.0) -> Colour:
        """Lights a surface colour and fades it by the haze in front of it."""
        if z != self._faded[0]:
            # The faces of one thing come in a row, so the last distance is worth keeping.
            veil = self.air.veil(z)
            haze = self.air.haze
            faded = haze[0] * veil, haze[1] * veil, haze[2] * veil
            self._faded = (z, self.air.light(z) * (1.0 - veil), *faded)
        _, gain, blue, green, red = self._faded
        gain *= shade
        return colour[0] * gain + blue, colour[1] * gain + green, colour[2] * gain + red

    def emit(self, colour: Colour, z: float) -> Colour:
        """Fades the colour of something that shines by itself."""
        veil = 0.6 * self.air.veil(z)  # lights are visible farther through haze than surfaces
        haze = self.air.haze
        return (
            colour[0] * (1 - veil) + haze[0] * veil,
            colour[1] * (1 - veil) + haze[1] * veil,
            colour[2] * (1 - veil) + haze[2] * veil,
        )

    def fill(self, pixels: np.ndarray, colour: Colour, label: int | None = None) -> None:
        """Fills one polygon (N, 2) in fixed-point pixels; label None leaves the labels."""
        if len(pixels) <= 4:
            # All our triangles and quadrilaterals are convex, and this is a third faster.
            cv2.fillConvexPoly(self.image, pixels, colour, 8, SHIFT)
            if label is not None:
                cv2.fillConvexPoly(self.label, pixels, label, 8, SHIFT)
            return
        cv2.fillPoly(self.image, [pixels], colour, 8, SHIFT)
        if label is not None:
            cv2.fillPoly(self.label, [pixels], label, 8, SHIFT)

    def fill_all(self, pixels: np.ndarray, colour: Colour, label: int | None = None) -> None:
        """Fills polygons (M, N, 2) that do not overlap, in one go."""
        if len(pixels) == 0:
            return
        cv2.fillPoly(self.image, list(pixels), colour, 8, SHIFT)
        if label is not None:
            cv2.fillPoly(self.label, list(pixels), label, 8, SHIFT)

    def fill_label(self, pixels: np.ndarray, label: int) -> None:
        """Fills one polygon (N, 2) in fixed-point pixels in the labels only."""
        cv2.fillPoly(self.label, [pixels], label, 8, SHIFT)

    def face(
        self, points: Iterable[tuple[float, float, float]], colour: Colour, label: int | None = None
    ) -> None:
        """Fills a polygon given by a few corners (x, h, z) in metres."""
        self.fill(self.camera.fixed_few(points), colour, label)

    def billboard(
        self,
        centre: tuple[float, float, float],
        outline: np.ndarray,
        size: float,
        *,
        colour: Colour,
        label: int | None = None,
    ) -> None:
        """Fills an outline (N, 2) of (right, down), `size` metres large, that faces the camera."""
        metre = self.camera.scale(centre[2]) * _UNIT
        pixels = self.camera.fixed_few([centre]) + outline * (size * metre)
        self.fill(pixels.astype(np.int32), colour, label)

    def limb(
        self, start: object, end: object, width: float, *, colour: Colour, label: int | None = None
    ) -> None:
        """Draws a round-ended bar between two points in fixed-point pixels, width in pixels."""
        thick = max(1, int(width + 0.5))
        start, end = (int(start[0]), int(start[1])), (int(end[0]), int(end[1]))
        cv2.line(self.image, start, end, colour, thick, 8, SHIFT)
        if label is not None:
            cv2.line(self.label, start, end, label, thick, 8, SHIFT)

    def disc(
        self, centre: object, radius: float, *, colour: Colour, label: int | None = None
    ) -> None:
        """Fills a circle; centre in fixed-point pixels, radius in pixels."""
        centre, size = (int(centre[0]), int(centre[1])), max(1, int(radius * _UNIT))
        cv2.circle(self.image, centre, size, colour, -1, 8, SHIFT)
        if label is not None:
            cv2.circle(self.label, centre, size, label, -1, 8, SHIFT)

    def veil(self, pixels: np.ndarray, colour: Colour, share: float) -> None:
        """Blends a polygon (N, 2) in fixed-point pixels with a colour; labels stay."""
        x, y, w, h = cv2.boundingRect(pixels >> SHIFT)
        x1, y1 = min(x + w + 1, self.camera.width), min(y + h + 1, self.camera.height)
        x, y = max(x, 0), max(y, 0)
        if x1 <= x or y1 <= y:
            return
        # only the bounding box is copied and blended
        patch = self.image[y:y1, x:x1]
        painted = patch.copy()
        cv2.fillPoly(painted, [pixels - np.array([x, y]) * _UNIT], colour, 8, SHIFT)
        cv2.addWeighted(patch, 1.0 - share, painted, share, 0.0, dst=patch)

    def glow(self, centre: object, radius: float, colour: Colour) -> None:
        """Adds a soft light around a point in fixed-point pixels, radius in pixels."""
        reach = _round_radius(radius)
        x, y = int(centre[0]) // _UNIT - reach, int(centre[1]) // _UNIT - reach
        size = 2 * reach + 1
        x0, y0 = max(x, 0), max(y, 0)
        x1, y1 = min(x + size, self.camera.width), min(y + size, self.camera.height)
        if x1 <= x0 or y1 <= y0:
            return
        halo = _halo(reach)[y0 - y : y1 - y, x0 - x : x1 - x]
        patch = self.image[y0:y1, x0:x1]
        cv2.add(patch, (halo * np.float32(colour)).astype(np.uint8), dst=patch)

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """Averages down to the scene's size: image (H, W, 3) and label (H, W), uint8."""
        size = (self.camera.width // SUPERSAMPLE, self.camera.height // SUPERSAMPLE)
        image = cv2.resize(self.image, size, interpolation=cv2.INTER_AREA)
        # class indexes cannot be averaged: one pixel of each block gives the label
        return image, np.ascontiguousarray(self.label[::SUPERSAMPLE, ::SUPERSAMPLE])


def _round_radius(radius: float) -> int:
    radius = int(min(max(radius, 2.0), 160.0))
    # few distinct radii: halos come from a cache
    return radius if radius < 16 else radius // 4 * 4


@lru_cache(maxsize=64)
def _halo(reach: int) -> np.ndarray:
    axis = np.linspace(-1.0, 1.0, 2 * reach + 1, dtype=np.float32)
    square = axis[:, None] ** 2 + axis[None, :] ** 2
    soft = np.exp(-6.0 * square) * np.clip(1.0 - square, 0.0, 1.0)
    return soft[..., None].astype(np.float32)
