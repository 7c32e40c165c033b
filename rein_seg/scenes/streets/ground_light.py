"""Weather and light on the painted ground: texture, shadows, lamps, snow and haze."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from rein_seg.scenes.drawing import noise
from rein_seg.scenes.streets import labels
from rein_seg.scenes.streets.camera import SHIFT, Camera
from rein_seg.scenes.streets.canvas import SUPERSAMPLE, Canvas
from rein_seg.scenes.streets.items import Item, cast_shadows
from rein_seg.scenes.streets.street import Street

_FAR = 260.0
_SNOW = (240.0, 238.0, 236.0)
_SHADOW_REACH = 75.0  # metres; farther shadows hardly show
_STEPS = 140.0


def light_ground(
    canvas: Canvas, street: Street, items: Sequence[Item], *, lamps: np.ndarray
) -> None:
    """Puts light, shadows, texture, snow and haze on the painted ground.

    Args:
        canvas: Canvas with sky and ground only.
        street: The street.
        items: Things that cast shadows.
        lamps: Street lamps (L, 2) as (x, z) in metres.
    """
    x, z, first = canvas.camera.ground_grid(SUPERSAMPLE)
    z = np.minimum(z, _FAR)
    air = canvas.air
    below = canvas.label[first * SUPERSAMPLE :: SUPERSAMPLE, ::SUPERSAMPLE]
    gain = _texture(canvas, x=x, z=z, below=below)
    gain *= air.face(0.0, 1.0, 0.0)
    gain *= 1.0 - _shadows(canvas, items, first)
    if air.look.lamps:
        gain *= air.look.ambient + 0.75 * np.exp(-z / 13.0) + _pools(x, z, lamps)
    else:
        gain *= air.look.ambient
    veil = 1.0 - np.exp(-air.density * z)
    gain *= 1.0 - veil
    cover = _cover(canvas, street, x=x, z=z) * (below == labels.ROAD) if air.snow else None
    # The sky keeps its colour: rows above the horizon in a rolled picture are not ground.
    sky = below == labels.SKY
    gain[sky], veil[sky] = 1.0, 0.0
    _apply(canvas, first, gain=gain, veil=veil, cover=cover)


def _apply(
    canvas: Canvas, first: int, *, gain: np.ndarray, veil: np.ndarray, cover: np.ndarray | None
) -> None:
    rows = canvas.image[first * SUPERSAMPLE :]
    size = (rows.shape[1], rows.shape[0])
    if cover is not None:
        share = cv2.resize(cover, size, interpolation=cv2.INTER_LINEAR)
        rows[:] = cv2.blendLinear(rows, np.full_like(rows, _SNOW), 1.0 - share, share)
    # Bytes in steps of 1 / _STEPS are exact enough for a gain and several times faster than floats.
    factor = cv2.convertScaleAbs(gain, alpha=_STEPS)
    factor = cv2.resize(factor, size, interpolation=cv2.INTER_LINEAR)
    haze = cv2.merge([cv2.convertScaleAbs(veil, alpha=h) for h in canvas.air.haze])
    haze = cv2.resize(haze, size, interpolation=cv2.INTER_LINEAR)
    lit = cv2.multiply(rows, cv2.merge([factor] * 3), scale=1.0 / _STEPS)
    cv2.add(lit, haze, dst=rows)


def _texture(canvas: Canvas, *, x: np.ndarray, z: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Returns factors (h, w) near 1 for asphalt grain, patches and paving joints."""
    rng, strength = canvas.rng, canvas.air.look.texture
    ox, oz = rng.uniform(0, noise.TILE, 2).tolist()
    fine = cv2.remap(
        noise.tile(128), 12 * x + ox, 12 * z + oz, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
    )
    rough = cv2.remap(
        noise.tile(32), 3 * x + oz, 1.2 * z + ox, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
    )
    near = np.exp(z * (-1 / 40.0))
    grass = (below == labels.TERRAIN) * np.float32(strength)
    gain = 1.0 + rough * near * (0.06 * strength + 0.09 * grass)
    gain += fine * (near * near * near * (0.07 * strength) + 0.12 * near * grass)
    across, along = x * 0.9, z * 0.7
    joints = (across - np.floor(across) < 0.09) | (along - np.floor(along) < 0.1)
    joints &= (below == labels.SIDEWALK) & (z < 22.0)
    gain *= 1.0 - 0.1 * joints.astype(np.float32)
    return gain


def _shadows(canvas: Canvas, items: Sequence[Item], first: int) -> np.ndarray:
    """Returns the share of the light (h, w) that is missing below things, 0..1."""
    camera, air = canvas.camera, canvas.air
    mask = np.zeros((camera.height // SUPERSAMPLE, camera.width // SUPERSAMPLE), np.uint8)
    direct = air.sun * air.sun_to[1] / air.look.ambient
    dark = direct / (0.94 + 0.08 + direct)  # the sun's share of the light of `Air.face`
    sun_h = max(air.sun_to[1], 0.3)
    shift = (-air.sun_to[0] / sun_h, -air.sun_to[2] / sun_h)
    prisms = [item.shade for item in items if item.depth < _SHADOW_REACH]
    prisms = [prism for prism in prisms if prism is not None]
    if dark > 0.1:
        _lay(camera, mask, cast_shadows(prisms, shift), value=int(255 * dark))
    # without sun, too, it is dark right below cars and people
    low = [prism for prism in prisms if prism.height < 5.0 and prism.base == 0]
    if low:
        _lay(camera, mask, cast_shadows(low, (0.0, 0.0)), value=int(255 * min(0.85, dark + 0.3)))
    mask = cv2.GaussianBlur(mask[first:], (3, 3), 0.7 if dark > 0.1 else 1.2)
    return mask.astype(np.float32) / 255.0


def _lay(camera: Camera, mask: np.ndarray, points: np.ndarray, *, value: int) -> None:
    np.maximum(points[..., 2], camera.ground_start, out=points[..., 2])
    for outline in camera.fixed(points) // SUPERSAMPLE:
        cv2.fillConvexPoly(mask, cv2.convexHull(outline), value, 8, SHIFT)


def _pools(x: np.ndarray, z: np.ndarray, lamps: np.ndarray) -> np.ndarray:
    light = np.zeros_like(x)
    for lamp_x, lamp_z in lamps:
        light += np.exp(-((x - lamp_x) ** 2 + (z - lamp_z) ** 2) * np.float32(1 / 60.0))
    return 0.6 * np.minimum(light, 1.2)


def _cover(canvas: Canvas, street: Street, *, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Returns the share of snow (h, w) on the road: full between the wheel tracks."""
    rough = cv2.remap(
        noise.tile(32), 2.5 * x, 0.8 * z, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
    )
    free = np.zeros_like(x)
    for side in (-1, 1):
        for index in range(street.lane_count(side)):
            middle = street.lane_x(side, index)
            for track in (middle - 0.75, middle + 0.75):
                free = np.maximum(free, np.exp(-(((x - track) / 0.34) ** 2)))
    amount = canvas.air.snow * 1.15 - free * 1.05 + 0.3 * rough
    return np.clip(amount, 0.0, 0.92).astype(np.float32)
