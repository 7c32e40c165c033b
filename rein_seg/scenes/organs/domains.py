"""The domains: scanners and protocols that show the same organs in other ways.

A pair (low, high) is a range; a volume draws from it uniformly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

Range = tuple[float, float]


@dataclass(frozen=True)
class Look:
    """Ranges of a domain.

    Args:
        agent: Strength of the contrast agent: 0 is none, 1 the portal phase.
        noise: Deviation of the noise, in grey levels.
        grain: Width of the grains of noise, in pixels of a slice of 96x96.
        streaks: Deviation of the streaks that too few photons leave, in grey levels.
        blur: Blur, in pixels of a slice of 96x96.
        zoom: Width of the body as a share of the picture.
        shift: Largest distance of the body from the centre, in sides of the picture.
        level: Added to all grey values, 0..1.
        contrast: Factor of all grey values about their middle.
    """

    agent: Range = (0.85, 1.15)
    noise: Range = (3.0, 6.0)
    grain: Range = (0.5, 0.8)
    streaks: Range = (0.0, 1.0)
    blur: Range = (0.4, 0.7)
    zoom: Range = (0.84, 0.96)
    shift: float = 0.03
    level: Range = (-0.02, 0.02)
    contrast: Range = (0.95, 1.05)


_STANDARD = Look()
_TABLE = {
    'standard': _STANDARD,
    'low_dose': replace(_STANDARD, noise=(14.0, 22.0), streaks=(4.0, 9.0)),
    'native': replace(_STANDARD, agent=(0.1, 0.35)),
    # another field of view: a small body anywhere in the picture
    'wide': replace(_STANDARD, zoom=(0.5, 0.62), shift=0.14),
    # another kernel and another window of grey values
    'soft': replace(
        _STANDARD,
        noise=(1.0, 2.0),
        grain=(1.2, 1.8),
        blur=(1.2, 1.7),
        level=(0.08, 0.16),
        contrast=(0.6, 0.75),
    ),
}

DOMAINS = tuple(_TABLE)


def look_of(name: str) -> Look:
    """Returns the look of a known domain."""
    return _TABLE[name]
