"""The light and weather of one scene, drawn from a domain's `Look`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rein_seg.scenes.streets.looks import Colour, Look, Range

_BEAM_REACH = 16.0  # metres; reach of the own headlights


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Blends two colours; share 0 is the first, 1 the second."""
    keep = 1.0 - share
    return (
        first[0] * keep + second[0] * share,
        first[1] * keep + second[1] * share,
        first[2] * keep + second[2] * share,
    )


def scaled(colour: Colour, factor: float) -> Colour:
    """Multiplies a colour by a factor."""
    return colour[0] * factor, colour[1] * factor, colour[2] * factor


@dataclass(frozen=True)
class Air:
    """Light, haze and weather of a scene.

    Args:
        look: The domain's look.
        haze: Colour that far things fade to.
        density: Extinction in 1/m.
        sun: Strength of the direct light.
        sun_to: Unit vector (x, h, z) towards the sun.
        wet, snow, clouds: Amounts, 0..1.
    """

    look: Look
    haze: Colour
    density: float
    sun: float
    sun_to: tuple[float, float, float]
    wet: float
    snow: float
    clouds: float

    @classmethod
    def draw(cls, look: Look, rng: np.random.Generator) -> Air:
        """Draws the weather of a scene."""
        azimuth = rng.uniform(-math.pi, math.pi)
        height = _within(rng, look.sun_height)
        norm = math.hypot(1.0, height)
        sun_to = (math.sin(azimuth) / norm, height / norm, math.cos(azimuth) / norm)
        return cls(
            look=look,
            haze=scaled(look.haze, rng.uniform(0.96, 1.04)),
            density=_within(rng, look.haze_density),
            sun=_within(rng, look.sun),
            sun_to=sun_to,
            wet=_within(rng, look.wet),
            snow=_within(rng, look.snow),
            clouds=_within(rng, look.clouds),
        )

    def veil(self, z: float) -> float:
        """Returns the share of haze in a colour at distance z, 0..1 (Beer and Lambert's law)."""
        return 1.0 - math.exp(-self.density * z)

    def light(self, z: float) -> float:
        """Returns the light that falls on every face at distance z, as a factor."""
        if self.look.lamps:
            return self.look.ambient + 0.5 * math.exp(-z / _BEAM_REACH)
        return self.look.ambient

    def facing(self, normals: np.ndarray) -> np.ndarray:
        """Shades faces by their unit normals (F, 3) as (x, h, z); 1 is a face with mean light."""
        # the sky lights faces from above a little more than from the side
        sky = 0.94 + 0.08 * normals[:, 1]
        direct = np.maximum(normals @ np.asarray(self.sun_to), 0.0)
        return sky + (self.sun / self.look.ambient) * direct

    def face(self, x: float, h: float, z: float) -> float:
        """Shades one face by its unit normal, like `facing`."""
        toward = x * self.sun_to[0] + h * self.sun_to[1] + z * self.sun_to[2]
        return 0.94 + 0.08 * h + (self.sun / self.look.ambient) * max(toward, 0.0)


def _within(rng: np.random.Generator, span: Range) -> float:
    return float(rng.uniform(span[0], span[1]))
