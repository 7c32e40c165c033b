"""The ground: strips of road, sidewalk and terrain, rails and lane markings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rein_seg.scenes.streets import labels
from rein_seg.scenes.streets.air import mix, scaled
from rein_seg.scenes.streets.canvas import Canvas
from rein_seg.scenes.streets.street import Street

_FAR = 260.0  # metres; beyond the skyline
_SIDE = 90.0  # metres
# a curved strip needs more corners; spaced by the logarithm they are even on the picture
_LONG, _SHORT = np.linspace(0.0, 1.0, 12), np.linspace(0.0, 1.0, 5)
_SNOW = (240.0, 238.0, 236.0)


class GroundPainter:
    """Paints a street's ground on a canvas, in its own colours without light."""

    def __init__(self, canvas: Canvas, street: Street):
        self._canvas = canvas
        self._street = street
        self._near = canvas.camera.ground_start
        look, snow, rng = canvas.air.look, canvas.air.snow, canvas.rng
        self._road = mix(scaled(look.road, rng.uniform(0.88, 1.12)), _SNOW, 0.12 * snow)
        self._walk = mix(scaled(look.walk, rng.uniform(0.88, 1.1)), _SNOW, 0.8 * snow)
        self._grass = mix(scaled(look.grass, rng.uniform(0.85, 1.15)), _SNOW, 0.92 * snow)
        self._mark = mix((224, 226, 228), self._road, 0.25 + 0.4 * snow)

    def paint(self) -> None:
        """Paints strips from the sides to the middle, then kerbs, rails and markings."""
        street = self._street
        for side in (-1, 1):
            inner, outer = street.walk_span(side)
            # without yards the pavement reaches the houses
            paved = street.kind == 'inner' and street.yard[side > 0] < 0.5
            base = (self._walk, labels.SIDEWALK) if paved else (self._grass, labels.TERRAIN)
            self._strip((street.kerb(side), side * _SIDE), *base)
            self._strip((inner, outer), self._walk, labels.SIDEWALK)
        if street.junction:
            self._crossing(street.junction)
        self._strip((street.kerb(-1), street.kerb(1)), self._road, labels.ROAD)
        if street.middle:
            self._middle()
        self._kerbs()
        self._markings()

    def _strip(
        self,
        span: tuple[float, float],
        colour: object,
        label: int,
        *,
        z: tuple[float, float] = (0.0, _FAR),
    ) -> None:
        near, far = max(z[0], self._near), z[1]
        if far <= near:
            return
        steps = near * (far / near) ** (_LONG if far / near > 4 else _SHORT)
        points = np.zeros((2 * len(steps), 3))
        points[: len(steps), 0], points[: len(steps), 2] = span[0], steps
        points[len(steps) :, 0], points[len(steps) :, 2] = span[1], steps[::-1]
        self._canvas.fill(self._canvas.camera.fixed(points), colour, label)

    def _pieces(self) -> list[tuple[float, float]]:
        """Returns the spans of z beside the crossing street."""
        if self._street.junction is None:
            return [(0.0, _FAR)]
        near, far = self._street.junction
        return [(0.0, near), (far, _FAR)]

    def _crossing(self, junction: tuple[float, float]) -> None:
        near, far = junction
        self._strip((-_SIDE, _SIDE), self._walk, labels.SIDEWALK, z=(near - 2.2, far + 2.2))
        self._strip((-_SIDE, _SIDE), self._road, labels.ROAD, z=(near, far))

    def _middle(self) -> None:
        street = self._street
        half = street.middle / 2
        if street.grassy:
            for piece in self._pieces():
                self._strip((-half + 0.25, half - 0.25), self._grass, labels.TERRAIN, z=piece)
        if street.rails:
            steel = mix((120, 116, 112), self._road, 0.2)
            label = labels.TERRAIN if street.grassy else labels.ROAD
            for track in (street.track_x(-1), street.track_x(1)):
                for offset in (-0.72, 0.72):
                    self._strip((track + offset - 0.05, track + offset + 0.05), steel, label)

    def _kerbs(self) -> None:
        street = self._street
        stone = scaled(self._walk, 1.12)
        for side in (-1, 1):
            edge = street.kerb(side)
            for piece in self._pieces():
                self._strip((edge, edge + side * 0.18), stone, labels.SIDEWALK, z=piece)
        if street.grassy:
            half = street.middle / 2
            for piece in self._pieces():
                for sign in (-1, 1):
                    self._strip(
                        (sign * (half - 0.3), sign * (half - 0.1)), stone, labels.TERRAIN, z=piece
                    )

    def _markings(self) -> None:
        street = self._street
        if self._canvas.air.snow > 0.9:  # markings are covered
            return
        if street.middle == 0 and street.lanes[0]:
            self._line(0.0, dashed=street.kind != 'boulevard')
        if street.middle and not street.grassy:
            for sign in (-1, 1):
                self._line(sign * street.middle / 2, dashed=False)
        for side in (-1, 1):
            for index in range(1, street.lane_count(side)):
                self._line(side * (street.middle / 2 + index * street.lane), dashed=True)
            if street.parking[side > 0]:
                edge = side * (street.middle / 2 + street.lane * street.lane_count(side))
                self._line(edge, dashed=True, dash=(0.9, 1.0))
            elif street.kind == 'outskirts':
                self._line(street.kerb(side) - side * 0.35, dashed=False)
        if street.zebra:
            self._zebra(street.zebra)
        elif street.junction:
            stop = street.junction[0] - 1.2
            right = street.middle / 2 + street.lane * street.lane_count(1)
            self._strip((street.middle / 2, right), self._mark, labels.ROAD, z=(stop - 0.45, stop))

    def _line(self, x: float, *, dashed: bool, dash: tuple[float, float] = (3.0, 5.0)) -> None:
        half = 0.075
        if not dashed:
            for piece in self._pieces():
                self._strip(
                    (x - half, x + half), self._mark, labels.ROAD, z=(piece[0], min(piece[1], 90.0))
                )
            return
        # a random phase: dashes must not start at the same row of every picture
        start = self._near - self._canvas.rng.uniform(0.0, sum(dash))
        z0 = np.arange(start, 80.0, sum(dash))
        z1 = z0 + dash[0]
        clear = [
            self._street.clear_of_junction(a, b) and b > self._near + 0.2
            for a, b in zip(z0, z1, strict=True)
        ]
        z0, z1 = np.maximum(z0[clear], self._near), z1[clear]
        self._quads([(x - half, x + half)] * len(z0), z0, z1)

    def _zebra(self, z: float) -> None:
        left, right = self._street.kerb(-1) + 0.3, self._street.kerb(1) - 0.3
        starts = np.arange(left, right - 0.5, 1.0)
        spans = [(a, a + 0.5) for a in starts]
        self._quads(spans, np.full(len(spans), z), np.full(len(spans), z + 3.0))

    def _quads(self, spans: Sequence[tuple[float, float]], z0: object, z1: object) -> None:
        if len(spans) == 0:
            return
        span = np.asarray(spans)
        quads = np.zeros((len(span), 4, 3))
        quads[:, [0, 3], 0], quads[:, [1, 2], 0] = span[:, :1], span[:, 1:]
        quads[:, :2, 2] = np.asarray(z0)[:, None]
        quads[:, 2:, 2] = np.asarray(z1)[:, None]
        self._canvas.fill_all(self._canvas.camera.fixed(quads), self._mark)
