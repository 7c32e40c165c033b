"""A camera that is aimed at a vehicle and shows it large."""

from __future__ import annotations

import numpy as np

from rein_seg.scenes.drawing.draws import between
from rein_seg.scenes.streets.camera import Camera
from rein_seg.scenes.streets.canvas import SUPERSAMPLE
from rein_seg.scenes.streets.cycles import Cycle
from rein_seg.scenes.streets.vehicles import Vehicle

_SHARE = (0.8, 0.95)  # of the picture's width or height, by the side that fills more


def frame(thing: Vehicle | Cycle, size: tuple[int, int], rng: np.random.Generator) -> Camera:
    """Draws a camera whose picture a vehicle nearly fills, somewhere in it but not cut.

    Args:
        thing: The vehicle.
        size: (width, height) of the picture in pixels.
        rng: Source of randomness.
    """
    width, height = (int(side) * SUPERSAMPLE for side in size)
    x, eye = thing.pose.x + float(rng.normal(0.0, 1.6)), between(rng, 1.1, 2.3)
    points = thing.pose.place(corners(thing))
    z = np.maximum(points[:, 2], 1.0)
    across, down = (points[:, 0] - x) / z, (eye - points[:, 1]) / z
    wide, tall = float(np.ptp(across)), float(np.ptp(down))
    focal = between(rng, *_SHARE) * min(width / wide, height / tall)
    left = between(rng, 0.02, 0.98 - focal * wide / width) * width
    top = between(rng, 0.02, 0.98 - focal * tall / height) * height
    return Camera(
        width=width,
        height=height,
        focal=focal,
        x=x,
        eye=eye,
        centre=left - focal * float(across.min()),
        horizon=top - focal * float(down.min()),
    )


def corners(thing: Vehicle | Cycle) -> np.ndarray:
    """Returns points (V, 3) as (at, h, w) that hold a vehicle.

    Args:
        thing: The vehicle.
    """
    if isinstance(thing, Vehicle):
        return np.concatenate([part.points for part in thing.parts]) * thing.size
    height = 1.8 if thing.rider else 1.1
    return np.array(
        [(a, h, w) for a in (-0.95, 0.95) for h in (0.0, height) for w in (-0.35, 0.35)]
    )
