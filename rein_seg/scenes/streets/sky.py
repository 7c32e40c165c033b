"""Sky, clouds and the far skyline that closes a street."""

from __future__ import annotations

import cv2
import numpy as np

from rein_seg.scenes.drawing import noise
from rein_seg.scenes.drawing.draws import between
from rein_seg.scenes.streets import labels
from rein_seg.scenes.streets.air import mix, scaled
from rein_seg.scenes.streets.canvas import Canvas

_SKYLINE = 175.0  # metres
_CELL = 4  # pixels; the sky is smooth, so it is painted coarsely and enlarged


def draw_sky(canvas: Canvas) -> None:
    """Paints gradient, clouds and the sun's glow down to the horizon."""
    camera, air, rng = canvas.camera, canvas.air, canvas.rng
    bottom = int(np.clip(camera.horizon + abs(camera.roll) * camera.width, 8, camera.height))
    height, width = bottom // _CELL + 1, camera.width // _CELL + 1
    rise = np.linspace(1.0, 0.0, height, dtype=np.float32)[:, None, None] ** 1.3
    top, low = np.float32(air.look.sky_top), np.float32(air.look.sky_low)
    sky = low + (top - low) * rise * between(rng, 0.75, 1.1)
    sky = np.repeat(sky, width, axis=1)
    if air.clouds > 0.02:
        # Rows are squeezed towards the horizon, where clouds are seen from the side.
        field = noise.patch(rng, 8, height=height, width=width)
        field = field + 0.5 * noise.patch(rng, 32, height=height, width=width)
        cover = np.clip((field - 0.7 + 1.5 * air.clouds) * 1.4, 0.0, 1.0)[..., None]
        bright = 1.06 if air.sun > 0.2 else 0.97
        sky += (np.float32(mix(air.look.sky_low, (250, 250, 250), air.sun)) * bright - sky) * (
            cover * 0.85
        )
        sky *= 1.0 + 0.07 * field[..., None] * air.clouds
    np.clip(sky, 0, 255, out=sky)
    size = (width * _CELL, height * _CELL)
    big = cv2.resize(sky.astype(np.uint8), size, interpolation=cv2.INTER_LINEAR)
    canvas.image[:bottom] = big[:bottom, : camera.width]


def draw_skyline(canvas: Canvas) -> None:
    """Closes the street with far houses and trees."""
    rng, air = canvas.rng, canvas.air
    reach = 0.75 * _SKYLINE * canvas.camera.width / canvas.camera.focal
    middle = -canvas.camera.bend * _SKYLINE**2
    x = middle - reach
    while x < middle + reach:
        wide = between(rng, 8.0, 26.0)
        if rng.random() < 0.55:
            _far_trees(canvas, x, wide)
        else:
            colour = scaled((150, 165, 180), rng.uniform(0.6, 1.1))
            high = between(rng, 6.0, 20.0)
            box = [
                (x, 0, _SKYLINE),
                (x, high, _SKYLINE),
                (x + wide, high, _SKYLINE),
                (x + wide, 0, _SKYLINE),
            ]
            canvas.face(box, canvas.tone(colour, _SKYLINE, air.face(0, 0, -1)), labels.BUILDING)
        x += wide * between(rng, 0.7, 1.0)


def _far_trees(canvas: Canvas, x: float, wide: float) -> None:
    rng = canvas.rng
    tops = between(rng, 4.0, 9.0) * (1.0 + 0.07 * rng.standard_normal(12))
    outline = [(x - 0.1 * wide, 0.0, _SKYLINE), (x + 1.1 * wide, 0.0, _SKYLINE)]
    outline += [(x + (1.0 - i / 11) * wide, top, _SKYLINE) for i, top in enumerate(tops.tolist())]
    colour = scaled((50, 104, 70), rng.uniform(0.8, 1.1))
    canvas.face(outline, canvas.tone(colour, _SKYLINE), labels.PLANT)
