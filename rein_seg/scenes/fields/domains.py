"""The domains: seasons and weather that show the same land in other ways.

A pair (low, high) is a range; an image draws from it uniformly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

Range = tuple[float, float]


@dataclass(frozen=True)
class Look:
    """Ranges of a domain.

    Args:
        growth: Vigour of crops: 1 is green and tall, 0 is bare.
        leaves: Leaves of the trees: 1 is summer, 0 is bare.
        wetness: Wetness of bare soil, which darkens it.
        light: Factor of all reflectances.
        warmth: Red against blue of the light: 0 is noon.
        haze: Light that the air adds, most in blue, none in the infrared.
        noise: Deviation of the sensor's noise, in reflectance.
    """

    growth: Range = (0.75, 1.0)
    leaves: Range = (0.9, 1.0)
    wetness: Range = (0.1, 0.5)
    light: Range = (0.92, 1.08)
    warmth: Range = (-0.02, 0.02)
    haze: Range = (0.0, 0.01)
    noise: Range = (0.004, 0.008)


_SUMMER = Look()
_TABLE = {
    'summer': _SUMMER,
    'autumn': replace(_SUMMER, growth=(0.3, 0.6), leaves=(0.3, 0.6), warmth=(0.05, 0.12)),
    'drought': replace(_SUMMER, growth=(0.25, 0.5), wetness=(0.0, 0.05), light=(1.0, 1.15)),
    'haze': replace(_SUMMER, haze=(0.05, 0.1), light=(0.75, 0.9)),
    'dusk': replace(_SUMMER, light=(0.45, 0.6), warmth=(0.1, 0.2), noise=(0.01, 0.016)),
}

DOMAINS = tuple(_TABLE)


def look_of(name: str) -> Look:
    """Returns the look of a known domain."""
    return _TABLE[name]
