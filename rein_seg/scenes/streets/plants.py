"""Vegetation: trees, bushes and hedges made of leafy blobs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from rein_seg.scenes.drawing.draws import between, pick
from rein_seg.scenes.streets import labels
from rein_seg.scenes.streets.air import mix, scaled
from rein_seg.scenes.streets.camera import SHIFT
from rein_seg.scenes.streets.canvas import Canvas
from rein_seg.scenes.streets.items import Footprint
from rein_seg.scenes.streets.looks import Colour

_GREENS: tuple[Colour, ...] = (
    (44, 112, 66),
    (50, 128, 88),
    (38, 92, 54),
    (60, 132, 104),
    (48, 110, 96),
    (70, 100, 60),
)
_BARK = (52.0, 66.0, 82.0)
_SNOW = (242.0, 240.0, 238.0)
_TEMPLATES = 256  # distinct crowns, kept in a cache


@dataclass(frozen=True)
class _Crown:
    """Shape of a leafy crown in half widths and half heights, y down.

    Args:
        outline: Ragged outline (N, 2).
        spots: Middles (M, 2) of the leafy blobs, high ones last.
        sizes: Radii of the blobs.
        green: Colour of the leaves.
    """

    outline: np.ndarray
    spots: np.ndarray
    sizes: tuple[float, ...]
    green: Colour


@lru_cache(maxsize=_TEMPLATES)
def _crown(style: int) -> _Crown:
    rng = np.random.default_rng(style)
    green = scaled(pick(rng, _GREENS), between(rng, 0.85, 1.15))
    angles = np.linspace(0.0, 2 * math.pi, 33)[:-1]
    lumps = rng.uniform(0.0, 2 * math.pi, 3)
    ragged = 1.0 + 0.05 * rng.standard_normal(32)
    for lump, waves in zip(lumps, (3, 5, 8), strict=True):
        ragged += 0.06 * np.sin(waves * angles + lump)
    outline = np.stack([np.cos(angles), np.sin(angles)], axis=1) * ragged[:, None]
    radius, angle = np.sqrt(rng.random(22)) * 0.72, rng.uniform(0.0, 2 * math.pi, 22)
    spots = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    spots = spots[np.argsort(-spots[:, 1])]  # high blobs catch the light: painted last
    return _Crown(outline, spots, tuple(rng.uniform(0.16, 0.3, 22).tolist()), green)


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
            self.x,
            self.z,
            radius=0.85 * self.crown[0],
            height=self.trunk + 1.6 * self.crown[1],
            base=0.8 * self.trunk,
        )

    def draw(self, canvas: Canvas) -> None:
        """Draws trunk and crown."""
        if not canvas.camera.sees(self.x, self.z, 1.2 * self.crown[0]):
            return
        metre = canvas.camera.scale(self.z)
        middle = self.trunk + self.crown[1] * 0.9
        foot, heart = canvas.camera.fixed_few([(self.x, 0.0, self.z), (self.x, middle, self.z)])
        if self.trunk:
            width = (0.14 + 0.05 * self.crown[0]) * metre
            bark = canvas.tone(_BARK, self.z, 0.95)
            canvas.limb(foot, heart, max(width, 1.5), colour=bark, label=labels.PLANT)
        template = _crown(self.style % _TEMPLATES)
        if self.conifer:
            self._cone(canvas, foot, scaled(template.green, 0.85), metre=metre)
        else:
            self._leaves(canvas, heart, template, metre=metre)

    def _leaves(self, canvas: Canvas, heart: np.ndarray, crown: _Crown, *, metre: float) -> None:
        half = np.array(self.crown) * (metre * (1 << SHIFT))
        dark = canvas.tone(scaled(crown.green, 0.7), self.z)
        canvas.fill((heart + crown.outline * half).astype(np.int32), dark, labels.PLANT)
        # far crowns need fewer blobs
        count = int(min(6 + 0.14 * self.crown[0] * metre, len(crown.sizes)))
        step = len(crown.sizes) / count
        places = (heart + crown.spots * half).astype(np.int32).tolist()
        tones = self._tones(canvas, crown.green)
        size = min(self.crown) * metre * (1 << SHIFT)
        sun = canvas.air.sun_to[0]
        for i in range(count):
            index = int(i * step)
            a, b = crown.spots[index]
            light = min(max(int(2.0 - 1.8 * b + 1.3 * a * sun), 0), len(tones) - 1)
            radius = int(crown.sizes[index] * size * (1.0 + 0.25 * (step - 1.0)))
            cv2.circle(canvas.image, places[index], max(radius, 4), tones[light], -1, 8, SHIFT)

    def _tones(self, canvas: Canvas, green: Colour) -> list[Colour]:
        """Returns the leaves' colours from the shaded underside to the lit, or snowy, top."""
        spread = 0.07 + 0.2 * canvas.air.sun
        tones = [canvas.tone(green, self.z, 0.88 + spread * step) for step in range(4)]
        if canvas.air.snow:
            share = 0.7 * canvas.air.snow
            tones[2] = canvas.tone(mix(green, _SNOW, 0.5 * share), self.z)
            tones[3] = canvas.tone(mix(green, _SNOW, share), self.z)
        return tones

    def _cone(self, canvas: Canvas, foot: np.ndarray, green: Colour, *, metre: float) -> None:
        unit = metre * (1 << SHIFT)
        top, layers = self.trunk + 2.2 * self.crown[1], 5
        for i in range(layers):
            low = self.trunk + (top - self.trunk) * i / layers
            high = min(top, low + 1.7 * (top - self.trunk) / layers)
            half = self.crown[0] * (1.0 - 0.82 * i / layers)
            shape = np.array([[-half, -low], [0.0, -high], [half, -low], [0.0, -low + 0.12 * half]])
            shade = 0.72 + 0.06 * i
            colour = (
                mix(green, _SNOW, 0.6 * canvas.air.snow * (i % 2)) if canvas.air.snow else green
            )
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
        """None: the shadow would fall on the hedge's own foot."""
        return None

    def draw(self, canvas: Canvas) -> None:
        """Draws a leafy band with a ragged top."""
        if not canvas.camera.sees(self.x, self.span[1], 0.5):
            return
        template = _crown(self.style % _TEMPLATES)
        green = template.green
        z = np.linspace(self.span[0], self.span[1], 9)
        top = self.height * (0.3 + 0.7 * np.hypot(*template.outline[:9].T))
        low = np.zeros((9, 3))
        low[:, 0], low[:, 2] = self.x, z
        high = low.copy()
        high[:, 1] = top
        middle = 0.5 * (self.span[0] + self.span[1])
        shade = 0.92 * canvas.air.face(-math.copysign(1.0, self.x), 0.0, 0.0)
        tone = canvas.tone(green, middle, shade)
        hedge = np.concatenate([low, high[::-1]])
        canvas.fill(canvas.camera.fixed(hedge), tone, labels.PLANT)
        crest = np.concatenate([high * [1, 0.82, 1], high[::-1]])
        colour = mix(green, _SNOW, canvas.air.snow) if canvas.air.snow else scaled(green, 1.15)
        canvas.fill(canvas.camera.fixed(crest), canvas.tone(colour, middle), labels.PLANT)
