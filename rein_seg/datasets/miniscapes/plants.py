"""Vegetation: trees, bushes and hedges made of leafy blobs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rein_seg.datasets.miniscapes import labels
from rein_seg.datasets.miniscapes.air import mix, scaled
from rein_seg.datasets.miniscapes.camera import SHIFT
from rein_seg.datasets.miniscapes.canvas import Canvas
from rein_seg.datasets.miniscapes.domains import Colour
from rein_seg.datasets.miniscapes.items import Footprint

_GREENS: tuple[Colour, ...] = (
    (44, 112, 66), (50, 128, 88), (38, 92, 54), (60, 132, 104), (48, 110, 96), (70, 100, 60)
)
_BARK = (52.0, 66.0, 82.0)
_SNOW = (242.0, 240.0, 238.0)
_ANGLES = np.linspace(0.0, 2 * math.pi, 25)[:-1]


@dataclass(frozen=True)
class Plant:
    """A tree, or a bush when the trunk is 0.

    Args:
        x: Position in metres.
        z: Distance in metres.
        trunk: Height of the free trunk in metres.
        crown: Half width and half height of the crown in metres.
        conifer: Whether the crown is a cone.
        style: Seed of its looks.
    """

    x: float
    z: float
    trunk: float
    crown: tuple[float, float]
    conifer: bool = False
    style: int = 0

    @property
    def depth(self) -> float:
        """Distance in metres."""
        return self.z

    @property
    def shade(self) -> Footprint:
        """Shadow of the crown."""
        return Footprint.round(
            self.x, self.z, radius=0.85 * self.crown[0], height=self.trunk + 1.6 * self.crown[1],
            base=0.8 * self.trunk,
        )

    def draw(self, canvas: Canvas) -> None:
        """Draws trunk and crown."""
        rng = np.random.default_rng(self.style)
        green = scaled(_GREENS[rng.integers(len(_GREENS))], rng.uniform(0.85, 1.15))
        metre = canvas.camera.scale(self.z)
        middle = self.trunk + self.crown[1] * 0.9
        spots = np.array([(self.x, 0.0, self.z), (self.x, middle, self.z)])
        foot, heart = canvas.camera.fixed(spots)
        if self.trunk:
            width = (0.14 + 0.05 * self.crown[0]) * metre
            bark = canvas.tone(_BARK, self.z, 0.95)
            canvas.limb(foot, heart, max(width, 1.5), colour=bark, label=labels.PLANT)
        if self.conifer:
            self._cone(canvas, foot, green, metre=metre)
        else:
            self._crown(canvas, heart, green, metre=metre, rng=rng)

    def _crown(
        self, canvas: Canvas, heart: np.ndarray, green: Colour, *, metre: float,
        rng: np.random.Generator,
    ) -> None:
        half = np.array(self.crown) * metre * (1 << SHIFT)
        ragged = 1.0 + 0.13 * rng.standard_normal(len(_ANGLES))
        outline = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1) * ragged[:, None] * half
        dark = canvas.tone(scaled(green, 0.7), self.z)
        canvas.fill((heart + outline).astype(np.int32), dark, labels.PLANT)
        count = int(min(5 + 0.22 * self.crown[0] * metre, 26))
        radius = np.sqrt(rng.random(count)) * 0.82
        angle = rng.uniform(0.0, 2 * math.pi, count)
        spots = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        spots = spots[np.argsort(-spots[:, 1])]
        sizes = rng.uniform(0.2, 0.36, count) * min(self.crown) * metre
        light = canvas.air.sun_to
        strength = 0.16 + 0.5 * canvas.air.sun
        for (a, b), size in zip(spots.tolist(), sizes.tolist(), strict=True):
            lift = -0.8 * b + 0.6 * a * light[0]
            colour = canvas.tone(green, self.z, 0.95 + strength * lift)
            if canvas.air.snow and b < -0.1:
                colour = canvas.tone(mix(green, _SNOW, 0.75 * canvas.air.snow), self.z)
            centre = heart + np.array([a, b]) * half
            canvas.disc(centre, size, colour=colour, label=labels.PLANT)

    def _cone(
        self, canvas: Canvas, foot: np.ndarray, green: Colour, *, metre: float
    ) -> None:
        unit = metre * (1 << SHIFT)
        top, layers = self.trunk + 2.2 * self.crown[1], 5
        for i in range(layers):
            low = self.trunk + (top - self.trunk) * i / layers
            high = min(top, low + 1.7 * (top - self.trunk) / layers)
            half = self.crown[0] * (1.0 - 0.82 * i / layers)
            shape = np.array([[-half, -low], [0.0, -high], [half, -low], [0.0, -low + 0.12 * half]])
            shade = 0.72 + 0.06 * i
            colour = mix(green, _SNOW, 0.6 * canvas.air.snow * (i % 2)) if canvas.air.snow else green
            pixels = (foot + shape * unit).astype(np.int32)
            canvas.fill(pixels, canvas.tone(colour, self.z, shade), labels.PLANT)
            lit = pixels[[1, 2, 3]] if canvas.air.sun_to[0] > 0 else pixels[[0, 1, 3]]
            canvas.fill(lit, canvas.tone(colour, self.z, shade + 0.12 + 0.3 * canvas.air.sun))


@dataclass(frozen=True)
class Hedge:
    """A clipped hedge along the street."""

    x: float
    span: tuple[float, float]
    height: float
    style: int = 0

    @property
    def depth(self) -> float:
        """Distance of the far end in metres."""
        return self.span[1]

    @property
    def shade(self) -> None:
        """Casts no shadow: it would fall on the hedge's own foot."""
        return None

    def draw(self, canvas: Canvas) -> None:
        """Draws a leafy band with a ragged top."""
        rng = np.random.default_rng(self.style)
        green = _GREENS[rng.integers(len(_GREENS))]
        z = np.linspace(self.span[0], self.span[1], 9)
        top = self.height * (1.0 + 0.07 * rng.standard_normal(9))
        low = np.stack([np.full(9, self.x), np.zeros(9), z], axis=1)
        high = np.stack([np.full(9, self.x), top, z], axis=1)
        middle = 0.5 * (self.span[0] + self.span[1])
        shade = 0.92 * canvas.air.face(-math.copysign(1.0, self.x), 0.0, 0.0)
        tone = canvas.tone(green, middle, shade)
        canvas.face(np.concatenate([low, high[::-1]]), tone, labels.PLANT)
        crest = np.concatenate([high * [1, 0.82, 1], high[::-1]])
        colour = mix(green, _SNOW, canvas.air.snow) if canvas.air.snow else scaled(green, 1.15)
        canvas.face(crest, canvas.tone(colour, middle), labels.PLANT)
