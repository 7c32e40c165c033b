"""Walls and fences along a side of the street."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rein_seg.scenes.streets import labels
from rein_seg.scenes.streets.air import mix, scaled
from rein_seg.scenes.streets.canvas import Canvas
from rein_seg.scenes.streets.items import Footprint
from rein_seg.scenes.streets.looks import Colour

FENCE_STYLES = ('bars', 'mesh', 'planks', 'rail')
_STONES: tuple[Colour, ...] = (
    (146, 150, 152),
    (120, 132, 146),
    (98, 120, 164),
    (150, 166, 180),
    (92, 104, 128),
)
_FENCES: dict[str, tuple[Colour, ...]] = {
    'bars': ((44, 44, 42), (60, 80, 50), (190, 192, 192)),
    'mesh': ((120, 124, 122), (70, 104, 70)),
    'planks': ((70, 108, 150), (90, 120, 150), (196, 200, 204)),
    'rail': ((170, 172, 174), (150, 152, 156)),
}
_SNOW = (242.0, 240.0, 238.0)
_PIECE = 5.0  # metres


@dataclass(frozen=True)
class Barrier:
    """A piece of wall or fence.

    Args:
        label: Wall or fence.
        start: (x, z) of the near end in metres.
        end: (x, z) of the far end in metres.
        height: Height in metres.
        style: Index of colour, and for a fence the word in FENCE_STYLES.
    """

    label: int
    start: tuple[float, float]
    end: tuple[float, float]
    height: float
    style: tuple[str, int]

    @property
    def depth(self) -> float:
        """Distance of the far end in metres."""
        return max(self.start[1], self.end[1])

    @property
    def shade(self) -> Footprint | None:
        """Shadow of a thin wall; fences let the light through."""
        if self.label == labels.FENCE:
            return None
        return Footprint((self.start, self.end), self.height)

    def draw(self, canvas: Canvas) -> None:
        """Draws the barrier."""
        if not canvas.camera.sees(*max(self.start, self.end, key=lambda foot: foot[1]), 0.5):
            return
        dx, dz = self.end[0] - self.start[0], self.end[1] - self.start[1]
        length = math.hypot(dx, dz)
        # the normal that points to the street
        toward = -1.0 if dz * self.start[0] > 0 else 1.0
        shade = canvas.air.face(toward * dz / length, 0.0, -toward * dx / length)
        z = 0.6 * min(self.start[1], self.end[1]) + 0.4 * self.depth
        if self.label == labels.WALL:
            self._wall(canvas, length, z=z, shade=shade)
        else:
            self._fence(canvas, length, z=z, shade=shade)

    def _box(self, low: float, high: float) -> list[tuple[float, float, float]]:
        (x0, z0), (x1, z1) = self.start, self.end
        return [(x0, low, z0), (x1, low, z1), (x1, high, z1), (x0, high, z0)]

    def _points(self, spans: np.ndarray) -> np.ndarray:
        """Maps (..., 2) as (share of the length, height) to (..., 3)."""
        out = np.empty(spans.shape[:-1] + (3,))
        out[..., 0] = self.start[0] + (self.end[0] - self.start[0]) * spans[..., 0]
        out[..., 1] = spans[..., 1]
        out[..., 2] = self.start[1] + (self.end[1] - self.start[1]) * spans[..., 0]
        return out

    def _bars(self, spots: np.ndarray, width: float, heights: tuple[float, float]) -> np.ndarray:
        low, high = heights
        corner = np.array([[-width, low], [width, low], [width, high], [-width, high]])
        spans = np.broadcast_to(corner, (len(spots), 4, 2)).copy()
        spans[..., 0] += spots[:, None]
        return self._points(spans)

    def _wall(self, canvas: Canvas, length: float, *, z: float, shade: float) -> None:
        stone = _STONES[self.style[1] % len(_STONES)]
        canvas.face(self._box(0.0, self.height), canvas.tone(stone, z, shade), labels.WALL)
        if canvas.camera.scale(z) * 0.5 > 3:  # joints of less than 3 pixels are not drawn
            dark = canvas.tone(scaled(stone, 0.84), z, shade)
            rows = np.arange(0.5, self.height - 0.2, 0.5)
            joints = [self._bars(np.array([0.5]), 0.5, (h, h + 0.05)) for h in rows]
            canvas.fill_all(canvas.camera.fixed(np.concatenate(joints)), dark)
            pillars = np.arange(0.0, length, 2.5) / length
            canvas.fill_all(
                canvas.camera.fixed(self._bars(pillars, 0.05 / length, (0.0, self.height))), dark
            )
        cap = _SNOW if canvas.air.snow else scaled(stone, 1.18)
        top = self._box(self.height - 0.1, self.height + 0.08)
        canvas.face(top, canvas.tone(cap, z, shade), labels.WALL)

    def _fence(self, canvas: Canvas, length: float, *, z: float, shade: float) -> None:
        name, index = self.style
        colour = _FENCES[name][index % len(_FENCES[name])]
        tone, metre = canvas.tone(colour, z, shade), canvas.camera.scale(z)
        pixels = canvas.camera.fixed_few(self._box(0.0, self.height))
        solid = {'bars': 0.3, 'mesh': 0.45, 'planks': 1.0, 'rail': 0.15}[name]
        if name == 'planks':
            canvas.fill(pixels, canvas.tone(scaled(colour, 0.72), z, shade), labels.FENCE)
        else:
            # far bars merge into an even tone, the denser the farther
            canvas.veil(pixels, tone, min(1.0, solid + 1.2 / max(metre * 0.12, 1.0)))
            # as in Cityscapes, the label covers the gaps of a fence
            canvas.fill_label(pixels, labels.FENCE)
        gap, half = {
            'bars': (0.28, 0.03),
            'mesh': (2.2, 0.05),
            'planks': (0.24, 0.095),
            'rail': (2.0, 0.07),
        }[name]
        if gap * metre >= 2.5:
            spots = np.arange(gap / 2, length, gap) / length
            bars = self._bars(spots, half / length, (0.0, self.height))
            canvas.fill_all(canvas.camera.fixed(bars), tone)
        for low, high in self._rails(name):
            canvas.face(self._box(low, high), canvas.tone(mix(colour, _SNOW, 0.1), z, shade))

    def _rails(self, name: str) -> tuple[tuple[float, float], ...]:
        if name == 'rail':
            return ((0.42 * self.height, self.height),)
        if name == 'planks':
            return ()
        return ((self.height - 0.1, self.height), (0.12, 0.2))


def run_of_barrier(
    label: int, x: float, span: tuple[float, float], *, height: float, style: tuple[str, int]
) -> list[Barrier]:
    """Splits a barrier along the street into pieces, so that depth order and haze fit each."""
    edges = np.linspace(span[0], span[1], max(2, int((span[1] - span[0]) / _PIECE) + 1))
    return [
        Barrier(label, (x, float(a)), (x, float(b)), height, style)
        for a, b in zip(edges[:-1], edges[1:], strict=True)
    ]
