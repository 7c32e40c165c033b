"""Vehicles with four or more wheels: their looks, drawing and lights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rein_seg.scenes.drawing.draws import between, pick, weighted
from rein_seg.scenes.streets import labels, large_models, small_models
from rein_seg.scenes.streets.canvas import Canvas
from rein_seg.scenes.streets.items import Footprint
from rein_seg.scenes.streets.looks import Colour
from rein_seg.scenes.streets.mesh import Mesh, Pose, draw_mesh

_CAR_PAINTS: tuple[Colour, ...] = (
    (232, 232, 232),
    (225, 228, 230),
    (36, 34, 34),
    (52, 50, 50),
    (120, 118, 116),
    (158, 156, 152),
    (84, 80, 78),
    (40, 36, 176),
    (150, 72, 36),
    (110, 50, 28),
    (62, 92, 50),
    (50, 170, 220),
    (60, 110, 196),
    (140, 150, 168),
    (60, 40, 110),
    (190, 140, 60),
)
_BUS_PAINTS: tuple[tuple[Colour, Colour], ...] = (
    ((48, 196, 232), (60, 60, 60)),
    ((44, 40, 190), (230, 230, 230)),
    ((226, 226, 226), (150, 90, 30)),
    ((70, 130, 50), (220, 220, 220)),
    ((180, 110, 40), (230, 230, 235)),
    ((214, 214, 210), (50, 50, 180)),
)
_TRUCK_PAINTS: tuple[tuple[Colour, Colour], ...] = (
    ((228, 228, 228), (150, 60, 30)),
    ((205, 206, 210), (40, 40, 170)),
    ((60, 120, 200), (220, 220, 220)),
    ((150, 100, 50), (230, 230, 230)),
    ((70, 110, 60), (60, 160, 210)),
    ((90, 90, 96), (140, 140, 140)),
)
_TRAM_PAINTS: tuple[tuple[Colour, Colour], ...] = (
    ((60, 200, 235), (225, 225, 225)),
    ((220, 222, 224), (44, 40, 176)),
    ((52, 46, 168), (210, 212, 216)),
    ((120, 150, 60), (230, 230, 230)),
    ((150, 80, 36), (228, 228, 228)),
)
_BASE = {
    'glass': (74.0, 62.0, 54.0),
    'dark': (38.0, 36.0, 36.0),
    'tyre': (28.0, 27.0, 27.0),
    'hub': (140.0, 140.0, 142.0),
    'tail': (44.0, 36.0, 196.0),
    'lamp': (228.0, 236.0, 240.0),
    'plate': (214.0, 216.0, 216.0),
    'board': (30.0, 120.0, 190.0),
    'lit': (84.0, 72.0, 62.0),
}
# Colours of lamps that are off, on parked vehicles.
_OFF = {'tail': (40.0, 34.0, 120.0), 'lamp': (150.0, 156.0, 160.0)}
_LENGTHS = {labels.CAR: 4.4, labels.TRUCK: 8.4, labels.BUS: 12.0, labels.TRAIN: 27.0}
_WIDTHS = {labels.CAR: 1.8, labels.TRUCK: 2.5, labels.BUS: 2.54, labels.TRAIN: 2.4}
_HEIGHTS = {labels.CAR: 1.3, labels.TRUCK: 3.2, labels.BUS: 3.0, labels.TRAIN: 3.2}


@dataclass(frozen=True)
class Vehicle:
    """A vehicle of class `label` made of one or more models."""

    label: int
    parts: tuple[Mesh, ...]
    pose: Pose
    size: tuple[float, float, float]
    paint: dict[str, Colour]
    driving: bool = True

    @property
    def depth(self) -> float:
        """Distance of the middle in metres."""
        return self.pose.z

    @property
    def length(self) -> float:
        """Length in metres."""
        return _LENGTHS[self.label] * self.size[0]

    @property
    def shade(self) -> Footprint:
        """Shadow of a box."""
        return Footprint.rectangle(
            self.pose.x,
            self.pose.z,
            length=self.length,
            width=_WIDTHS[self.label],
            heading=self.pose.heading,
            height=_HEIGHTS[self.label],
        )

    def draw(self, canvas: Canvas) -> None:
        """Draws far parts first, then the light of the lamps."""
        if not canvas.camera.sees(self.pose.x, self.pose.z, 0.55 * self.length):
            return
        ahead = math.cos(self.pose.heading)
        parts = self.parts if ahead < 0 else self.parts[::-1]
        for part in parts:
            draw_mesh(
                canvas, part, pose=self.pose, size=self.size, paint=self.paint, label=self.label
            )
        if self.driving and canvas.air.look.lamps:
            self._shine(canvas, ahead)

    def _shine(self, canvas: Canvas, ahead: float) -> None:
        if abs(ahead) < 0.5:  # from the side no lamp is visible
            return
        half = self.length / 2
        front = ahead < 0
        height = 0.66 if front else 0.85
        spread = _WIDTHS[self.label] * 0.36
        end = np.array([[half if front else -half, height, w] for w in (-spread, spread)])
        colour = (200.0, 225.0, 235.0) if front else (20.0, 16.0, 150.0)
        radius = (0.9 if front else 0.4) * canvas.camera.scale(self.pose.z)
        for centre in canvas.camera.fixed(self.pose.place(end)):
            canvas.glow(centre, max(radius, 7.0), colour)


def make_car(
    rng: np.random.Generator, pose: Pose, *, driving: bool = True, style: str | None = None
) -> Vehicle:
    """Makes a car with a random paint, and a random style if none is given."""
    style = style or small_models.CAR_STYLES[weighted(rng, (0.26, 0.28, 0.18, 0.18, 0.1))]
    paint = {'body': pick(rng, _CAR_PAINTS)} | ({} if driving else _OFF)
    return Vehicle(
        labels.CAR, (small_models.car(style),), pose, _stretch(rng, 0.05), _BASE | paint, driving
    )


def make_truck(
    rng: np.random.Generator, pose: Pose, *, driving: bool = True, style: str | None = None
) -> Vehicle:
    """Makes a truck, of a random style if none is given; its cab and cargo are painted apart."""
    style = style or large_models.TRUCK_STYLES[weighted(rng, (0.55, 0.2, 0.25))]
    cargo, second = pick(rng, _TRUCK_PAINTS)
    body = pick(rng, _CAR_PAINTS)
    paint = {'body': body, 'roof': body, 'cargo': cargo, 'second': second}
    return Vehicle(
        labels.TRUCK, large_models.truck(style), pose, _stretch(rng, 0.06), _BASE | paint, driving
    )


def make_bus(rng: np.random.Generator, pose: Pose, *, style: str | None = None) -> Vehicle:
    """Makes a city bus, a coach or, rarely, a double-decker; or the given style."""
    style = style or large_models.BUS_STYLES[weighted(rng, (0.65, 0.23, 0.12))]
    body, second = pick(rng, _BUS_PAINTS)
    paint = {'body': body, 'roof': body, 'second': second} | _cabin_light(rng)
    return Vehicle(labels.BUS, (large_models.bus(style),), pose, _stretch(rng, 0.04), _BASE | paint)


def make_tram(rng: np.random.Generator, pose: Pose) -> Vehicle:
    """Makes a tram, the class train."""
    body, second = pick(rng, _TRAM_PAINTS)
    paint = {'body': body, 'roof': body, 'second': second} | _cabin_light(rng)
    return Vehicle(labels.TRAIN, large_models.tram(), pose, _stretch(rng, 0.03), _BASE | paint)


def _cabin_light(rng: np.random.Generator) -> dict[str, Colour]:
    """Colours the windows of passenger cabins; `draw_mesh` makes them shine at night only."""
    warm = between(rng, 0.5, 0.85)
    return {'lit': (150.0 * warm, 205.0 * warm, 225.0 * warm)} if rng.random() < 0.8 else {}


def _stretch(rng: np.random.Generator, share: float) -> tuple[float, float, float]:
    length, height, width = rng.uniform(1.0 - share, 1.0 + share, 3).tolist()
    return length, height, width
