"""The body of a volume: organs as warped ellipsoids, with all that lies around them.

Places (x, y) are in half widths of the body from its centre, y down; z goes from 0, the first
slice, to 1. A picture of a patient is mirrored, as in radiology: the liver lies on the left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rein_seg.scenes.drawing import noise
from rein_seg.scenes.drawing.draws import between

HEIGHT = 0.74  # half height of the body

Place = tuple[float, float, float]


@dataclass(frozen=True)
class Organ:
    """An organ, or a part of it.

    Args:
        name: Its class.
        centre: (x, y, z).
        radii: Along x, y and z.
        native: Grey value without contrast agent, 0..1.
        portal: Grey value in the portal phase.
        tilt: Turn in the plane of a slice, in radians.
    """

    name: str
    centre: Place
    radii: Place
    native: float
    portal: float
    tilt: float = 0.0


# grey values of the window from -125 to 275 Hounsfield units; later organs cover earlier ones
ORGANS = (
    Organ('liver', (-0.46, -0.10, 0.40), (0.44, 0.46, 0.55), 0.45, 0.59, 0.3),
    Organ('liver', (-0.08, -0.34, 0.32), (0.40, 0.20, 0.34), 0.45, 0.59, -0.2),
    Organ('stomach', (0.34, -0.27, 0.36), (0.31, 0.25, 0.44), 0.35, 0.37, 0.5),
    Organ('spleen', (0.64, 0.12, 0.36), (0.19, 0.34, 0.36), 0.43, 0.61, 0.2),
    Organ('kidney', (-0.43, 0.30, 0.78), (0.17, 0.21, 0.42), 0.39, 0.79, 0.4),
    Organ('kidney', (0.43, 0.30, 0.68), (0.17, 0.21, 0.42), 0.39, 0.79, -0.4),
    Organ('aorta', (0.05, 0.26, 0.50), (0.09, 0.09, 4.00), 0.41, 0.71, 0.0),
)
_JITTER = 0.045


@dataclass(frozen=True)
class Shape:
    """An organ of one patient.

    Args:
        organ: The organ.
        centre: (x, y, z).
        radii: Along x, y and z.
        tilt: Turn in radians.
        grey: Grey value, 0..1.
    """

    organ: Organ
    centre: Place
    radii: Place
    tilt: float
    grey: float

    def depth(self, x: np.ndarray, y: np.ndarray, z: float) -> np.ndarray:
        """Returns (H, W) depths below the organ's surface, about in half widths; < 0 outside."""
        cos, sin = math.cos(self.tilt), math.sin(self.tilt)
        dx, dy = x - np.float32(self.centre[0]), y - np.float32(self.centre[1])
        along = (cos * dx + sin * dy) / np.float32(self.radii[0])
        across = (cos * dy - sin * dx) / np.float32(self.radii[1])
        square = along * along + across * across
        square += np.float32(((z - self.centre[2]) / self.radii[2]) ** 2)
        return (1.0 - np.sqrt(square)) * np.float32(min(self.radii[:2]))


def draw_shapes(rng: np.random.Generator, agent: float) -> list[Shape]:
    """Draws the organs of a patient.

    Args:
        rng: Source of draws.
        agent: Strength of the contrast agent.
    """
    return [_draw_shape(rng, organ, agent) for organ in ORGANS]


def _draw_shape(rng: np.random.Generator, organ: Organ, agent: float) -> Shape:
    x, y, z = (at + rng.uniform(-_JITTER, _JITTER) for at in organ.centre)
    a, b, c = (radius * rng.uniform(0.86, 1.14) for radius in organ.radii)
    grey = organ.native + agent * (organ.portal - organ.native) + rng.uniform(-0.015, 0.015)
    tilt = organ.tilt + rng.uniform(-0.2, 0.2)
    return Shape(organ, (x, y, z), (a, b, c), tilt, grey)


@dataclass(frozen=True)
class Warp:
    """A smooth displacement that changes slowly from slice to slice.

    Args:
        fields: Four (H, W) fields: two of x, two of y.
        size: Largest displacement, in half widths.
    """

    fields: tuple[np.ndarray, ...]
    size: float

    def __call__(self, x: np.ndarray, y: np.ndarray, z: float) -> tuple[np.ndarray, np.ndarray]:
        """Returns displaced places."""
        cos, sin = self.size * math.cos(math.pi * z), self.size * math.sin(math.pi * z)
        first, second, third, fourth = self.fields
        return x + cos * first + sin * second, y + cos * third + sin * fourth


def draw_warp(rng: np.random.Generator, height: int, width: int) -> Warp:
    """Draws the warp of a patient."""
    # sixteen knots in a tile of noise: knots lie a sixth of the picture apart
    stretch = min(height, width) / 96
    fields = [noise.patch(rng, 16, height=height, width=width, stretch=stretch) for _ in range(4)]
    return Warp(tuple(fields), between(rng, 0.04, 0.09))
