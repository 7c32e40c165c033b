"""Random looks and towns for pretraining: wide, continuous ranges, and no domain of the benchmark.

Each part of a look is drawn independently, so most combinations (snow under a low sun, rain in haze
at dusk) are in no domain. The physics are the same, so wet roads and dark streets occur, as they do
in any photo collection. No code here reads the domains' looks.
"""

from __future__ import annotations

import numpy as np

from rein_seg.scenes.streets.air import mix, scaled
from rein_seg.scenes.streets.domains import Town
from rein_seg.scenes.streets.looks import Colour, Look, Range

# Flat light through a clean lens: the target of the pretraining.
NEUTRAL = Look(
    sky_top=(190, 170, 150),
    sky_low=(215, 205, 195),
    clouds=(0.0, 0.0),
    haze=(205, 200, 195),
    haze_density=(0.001, 0.001),
    ambient=0.85,
    sun=(0.0, 0.0),
    texture=1.0,
    gain=(1.0, 1.0),
    noise=(0.0, 0.0),
    vignette=(0.0, 0.0),
)


def draw_look(rng: np.random.Generator) -> Look:
    """Draws light, weather, ground colours and camera, each independently."""
    ambient = float(0.14 + 0.86 * rng.random() ** 0.8)
    low = scaled(_tinted(rng, 0.2), 255.0 * min(1.0, ambient * float(rng.uniform(0.7, 1.25))))
    top = scaled(mix(low, (235.0, 140.0, 60.0), float(rng.uniform(0.0, 0.8))), ambient)
    haze = scaled(mix(low, scaled((255.0, 255.0, 255.0), ambient), float(rng.random())), 0.97)
    return Look(
        sky_top=_clipped(mix(low, top, float(rng.random()))),
        sky_low=_clipped(low),
        clouds=_fixed(rng.uniform(0.0, 1.0)),
        haze=_clipped(haze),
        haze_density=_fixed(np.exp(rng.uniform(np.log(0.0006), np.log(0.055)))),
        ambient=ambient,
        sun=_fixed(rng.uniform(0.05, 0.7) * ambient) if rng.random() < 0.4 else (0.0, 0.0),
        sun_height=(0.3, 2.0),
        lamps=bool(ambient < 0.5 and rng.random() < 0.75),
        wet=_sometimes(rng, 0.4, 0.05, 1.0),
        snow=_sometimes(rng, 0.25, 0.05, 1.0),
        streaks=_sometimes(rng, 0.25, 3.0, 50.0),
        flakes=_sometimes(rng, 0.25, 2.0, 45.0),
        drops=0.2,
        **_camera_of(rng, ambient),
        **_ground_of(rng),
    )


def draw_town(rng: np.random.Generator) -> Town:
    """Draws scene statistics and camera, in ranges that include every domain's."""
    storeys = int(rng.integers(1, 5))
    return Town(
        streets=tuple(rng.uniform(0.1, 1.0, 4).tolist()),
        storeys=(storeys, storeys + int(rng.integers(2, 6))),
        lane=(2.6, 3.9),
        walk=(1.4, 5.2),
        traffic=float(rng.uniform(1.0, 4.0)),
        parked=float(rng.uniform(0.1, 0.8)),
        trees=float(rng.uniform(1.0, 9.0)),
        people=float(rng.uniform(3.0, 11.0)),
        cycles=float(rng.uniform(1.0, 5.0)),
        truck=0.35,
        bus=0.35,
        train=0.35,
        motorcycle=0.4,
        bicycle=0.4,
        wall=0.4,
        fence=0.45,
        view=float(rng.uniform(70.0, 120.0)),
        eye=(1.1, 2.0),
        pitch=(0.34, 0.52),
        focal=(1.15, 1.75),
        hood=0.12,
    )


def _camera_of(rng: np.random.Generator, ambient: float) -> dict:
    quality = int(rng.integers(30, 96))
    return dict(
        texture=float(rng.uniform(0.3, 1.8)),
        saturation=_fixed(rng.uniform(0.2, 1.6)),
        # a camera exposes for the scene, but not fully
        gain=_fixed(rng.uniform(0.7, 1.25) * ambient ** -rng.uniform(0.0, 0.6)),
        gamma=_fixed(rng.uniform(0.7, 1.35)),
        tint=tuple(_fixed(v) for v in rng.uniform(0.7, 1.22, 3) ** rng.integers(0, 2)),
        noise=_fixed(10.0 * rng.random() ** 2),
        blur=_fixed(rng.uniform(0.0, 0.9)),
        vignette=_fixed(rng.uniform(0.0, 0.5)),
        jpeg=(quality, quality + 1) if rng.random() < 0.6 else None,
    )


def _ground_of(rng: np.random.Generator) -> dict:
    return dict(
        road=scaled(_tinted(rng, 0.08), float(rng.uniform(55.0, 140.0))),
        walk=scaled(_tinted(rng, 0.15), float(rng.uniform(90.0, 190.0))),
        grass=_clipped(scaled((56.0, 128.0, 92.0), float(rng.uniform(0.6, 1.3)))),
    )


def _tinted(rng: np.random.Generator, amount: float) -> Colour:
    blue, green, red = (1.0 - amount * rng.random(3)).tolist()
    return blue, green, red


def _clipped(colour: Colour) -> Colour:
    blue, green, red = (min(255.0, max(0.0, c)) for c in colour)
    return blue, green, red


def _fixed(value: float) -> Range:
    return float(value), float(value)


def _sometimes(rng: np.random.Generator, chance: float, low: float, high: float) -> Range:
    amount = rng.uniform(low, high)
    return _fixed(amount) if rng.random() < chance else (0.0, 0.0)
