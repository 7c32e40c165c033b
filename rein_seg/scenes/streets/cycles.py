"""Bicycles and motorcycles, parked or with a rider."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from rein_seg.scenes.drawing.draws import pick
from rein_seg.scenes.streets import labels, small_models
from rein_seg.scenes.streets.camera import SHIFT
from rein_seg.scenes.streets.canvas import Canvas
from rein_seg.scenes.streets.figures import Person, make_rider
from rein_seg.scenes.streets.items import Footprint
from rein_seg.scenes.streets.looks import Colour
from rein_seg.scenes.streets.mesh import Pose, draw_mesh

_PAINTS: tuple[Colour, ...] = (
    (40, 36, 36),
    (60, 40, 170),
    (170, 90, 40),
    (80, 140, 60),
    (200, 200, 200),
    (40, 160, 220),
    (110, 110, 110),
)
_RADIUS = 0.34  # of a wheel, in metres
_ANGLES = np.linspace(0.0, 2 * math.pi, 15)[:-1]


def _wheel(at: float) -> np.ndarray:
    rim = np.stack([at + _RADIUS * np.cos(_ANGLES), _RADIUS + _RADIUS * np.sin(_ANGLES)], axis=1)
    return np.concatenate([rim, np.zeros((len(rim), 1))], axis=1)


_HUBS = ((-0.53, _RADIUS, 0.0), (0.53, _RADIUS, 0.0))
_CRANK, _SEAT, _HEAD, _SADDLE = (
    (-0.06, 0.3, 0.0),
    (-0.2, 0.8, 0.0),
    (0.36, 0.85, 0.0),
    (-0.22, 0.96, 0.0),
)
_GRIPS = ((0.38, 1.04, -0.28), (0.38, 1.04, 0.28))
_POINTS = np.concatenate(
    [_wheel(-0.53), _wheel(0.53), np.array([*_HUBS, _CRANK, _SEAT, _HEAD, _SADDLE, *_GRIPS])]
)
# pairs of points: frame, fork, saddle and handlebar
_BARS = ((28, 30), (30, 31), (31, 28), (30, 32), (31, 32), (32, 29), (31, 33), (34, 35))


@dataclass(frozen=True)
class Cycle:
    """A two-wheeler of class `label`, with its rider or None."""

    label: int
    pose: Pose
    paint: Colour
    rider: Person | None = None

    @property
    def depth(self) -> float:
        """Distance in metres."""
        return self.pose.z

    @property
    def shade(self) -> Footprint:
        """Shadow of a narrow box."""
        return Footprint.rectangle(
            self.pose.x,
            self.pose.z,
            length=1.8,
            width=0.3,
            heading=self.pose.heading,
            height=1.5 if self.rider else 0.8,
        )

    def draw(self, canvas: Canvas) -> None:
        """Draws the machine, then its rider."""
        if not canvas.camera.sees(self.pose.x, self.pose.z, 1.2):
            return
        if self.label == labels.MOTORCYCLE:
            self._motorcycle(canvas)
        else:
            self._bicycle(canvas)
        if self.rider:
            self.rider.draw(canvas)
        if self.rider and canvas.air.look.lamps:
            self._shine(canvas)

    def _motorcycle(self, canvas: Canvas) -> None:
        paint = {
            'body': self.paint,
            'dark': (36, 34, 34),
            'tyre': (26, 26, 26),
            'hub': (120, 120, 122),
            'lamp': (225, 232, 236),
            'tail': (44, 36, 196),
            'glass': (60, 56, 52),
        }
        mesh = small_models.motorcycle()
        draw_mesh(canvas, mesh, pose=self.pose, size=(1.0, 1.0, 1.0), paint=paint, label=self.label)

    def _bicycle(self, canvas: Canvas) -> None:
        z, metre = self.pose.z, canvas.camera.scale(self.pose.z)
        pixels = canvas.camera.fixed(self.pose.place(_POINTS))
        tyre = canvas.tone((34, 33, 33), z)
        wheels = [pixels[:14], pixels[14:28]]
        fine = max(1, int(0.05 * metre + 0.5))
        if _RADIUS * metre < 5:  # a thin rim would vanish
            cv2.fillPoly(canvas.image, wheels, tyre, 8, SHIFT)
        else:
            cv2.polylines(canvas.image, wheels, True, tyre, fine, 8, SHIFT)
        # as in Cityscapes, wheels and frame are labelled with their gaps
        for wheel in wheels:
            cv2.fillPoly(canvas.label, [wheel], self.label, 8, SHIFT)
        cv2.polylines(canvas.label, wheels, True, self.label, fine, 8, SHIFT)
        # seen along the street a wheel is a line without area: a bar keeps it visible
        for hub in pixels[28:30]:
            tall = np.array([0, int(_RADIUS * metre * (1 << SHIFT))])
            canvas.limb(hub - tall, hub + tall, 0.05 * metre, colour=tyre, label=self.label)
        cv2.fillPoly(canvas.label, [pixels[[28, 30, 32, 31]]], self.label, 8, SHIFT)
        colour = canvas.tone(self.paint, z)
        for a, b in _BARS:
            canvas.limb(pixels[a], pixels[b], 0.06 * metre, colour=colour, label=self.label)
        canvas.disc(pixels[33], 0.08 * metre, colour=tyre, label=self.label)

    def _shine(self, canvas: Canvas) -> None:
        front = math.cos(self.pose.heading) < 0
        lamp = np.array([0.6 if front else -0.6, 0.8, 0.0])
        colour = (190.0, 215.0, 225.0) if front else (16.0, 12.0, 140.0)
        radius = (0.6 if front else 0.35) * canvas.camera.scale(self.pose.z)
        canvas.glow(canvas.camera.fixed(self.pose.place(lamp)), max(radius, 6.0), colour)


def make_cycle(rng: np.random.Generator, pose: Pose, *, label: int, ridden: bool) -> Cycle:
    """Makes a bicycle or motorcycle (its train id)."""
    rider = make_rider(rng, pose, mount=label) if ridden else None
    return Cycle(label, pose, pick(rng, _PAINTS), rider)
