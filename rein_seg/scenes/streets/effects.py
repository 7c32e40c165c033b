"""Effects on the finished picture: surface texture, wet ground, falling weather, the camera.

All functions take images (H, W, 3), uint8, BGR, and labels (H, W) of train ids.
"""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np

from rein_seg.scenes.drawing import noise
from rein_seg.scenes.streets import labels
from rein_seg.scenes.streets.air import Air
from rein_seg.scenes.streets.looks import Look

# Strength of the fine texture by class, in grey levels, where a domain has texture strength 1.
_ROUGHNESS = (3, 4, 5, 8, 6, 3, 2, 2, 17, 9, 1.2, 4, 4, 2, 3, 2, 2, 4, 4)
_REFERENCE_WIDTH = 256  # pixels; lengths of effects are given for pictures of this width
_WET = (labels.ROAD, labels.SIDEWALK)


def roughen(
    image: np.ndarray, label: np.ndarray, *, air: Air, rng: np.random.Generator
) -> np.ndarray:
    """Adds surface texture, by class."""
    height, width = label.shape
    scale = max(width / _REFERENCE_WIDTH, 0.5)
    field = noise.patch(rng, 128, height=height, width=width, stretch=scale)
    field = field + 0.7 * noise.patch(rng, 32, height=height, width=width, stretch=scale)
    amount = cv2.LUT(label, _roughness_table())
    field = field * amount * (air.look.texture * (0.5 if air.look.lamps else 1.0))
    return cv2.add(image, cv2.merge([field] * 3), dtype=cv2.CV_8U)


@lru_cache(maxsize=1)
def _roughness_table() -> np.ndarray:
    table = np.zeros(256, np.float32)
    table[: labels.NUM_CLASSES] = _ROUGHNESS
    return table


def wet_ground(
    image: np.ndarray, label: np.ndarray, *, air: Air, rng: np.random.Generator
) -> np.ndarray:
    """Mirrors the scene in the wet road: each pixel shows the object above it."""
    height, width = label.shape
    ground = (label == labels.ROAD) | (label == labels.SIDEWALK)
    rows = np.arange(height, dtype=np.int32)[:, None]
    # the lowest row above a ground pixel that is not ground: its mirror image starts there
    base = np.maximum.accumulate(np.where(ground, -1, rows), axis=0)
    source = np.clip(2 * base - rows + 1, 0, height - 1).astype(np.float32)
    columns = np.broadcast_to(np.arange(width, dtype=np.float32), label.shape)
    mirror = cv2.remap(image, np.ascontiguousarray(columns), source, cv2.INTER_NEAREST)
    # waves of a rough road smear reflections along the view, hence vertically
    tall = max(3, height // 14) | 1
    mirror = cv2.blur(mirror, (max(3, width // 128) | 1, tall))
    # Puddles are seen at a low angle, hence wide and flat.
    puddles = noise.patch(rng, 8, height=4 * height, width=width, stretch=width / 256)[::4]
    share = np.clip(0.55 + 0.6 * puddles, 0.12, 1.0) * (0.62 * air.wet) * (ground & (base >= 0))
    return _blend(image, mirror, share.astype(np.float32))


def _blend(image: np.ndarray, other: np.ndarray, share: np.ndarray) -> np.ndarray:
    return cv2.blendLinear(image, other, 1.0 - share, share)


def streaks(image: np.ndarray, *, air: Air, rng: np.random.Generator) -> np.ndarray:
    """Draws falling rain as faint slanted lines."""
    height, width = image.shape[:2]
    count = int(rng.uniform(*air.look.streaks) * height * width / 1e4)
    slant = rng.uniform(-0.25, 0.25)
    start = rng.uniform(0, 1, (count, 2)) * (width, height)
    length = rng.uniform(0.04, 0.14, count) * height
    end = start + np.stack([slant * length, length], axis=1)
    lines = np.rint(np.stack([start, end], axis=1) * 8).astype(np.int32)
    mask = np.zeros((height, width), np.uint8)
    bright = rng.integers(20, 60, 3).tolist()
    # three brightnesses, each drawn in a single call: cheaper than a colour a line
    for group, value in zip(np.array_split(lines, 3), bright, strict=True):
        cv2.polylines(mask, list(group), False, value, 1, cv2.LINE_AA, 3)
    share = mask.astype(np.float32) / 255.0
    return _blend(image, np.full_like(image, 200), share)


def flakes(image: np.ndarray, *, air: Air, rng: np.random.Generator) -> np.ndarray:
    """Draws falling snow: many small flakes and a few near, soft ones."""
    height, width = image.shape[:2]
    unit = width / _REFERENCE_WIDTH
    count = int(rng.uniform(*air.look.flakes) * height * width / (1e4 * unit * unit))
    mask = np.zeros((height, width), np.uint8)
    spots = (rng.uniform(0, 1, (count, 2)) * (width * 8, height * 8)).astype(int).tolist()
    sizes = (rng.gamma(2.0, 0.32, count) * unit * 8).astype(int).clip(2, None).tolist()
    for spot, size in zip(spots, sizes, strict=True):
        cv2.circle(mask, spot, size, 215, -1, cv2.LINE_AA, 3)
    mask = cv2.GaussianBlur(mask, (3, 3), 0.6 * unit)
    return _blend(image, np.full_like(image, 246), mask.astype(np.float32) / 255.0)


def lens_drops(image: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Smears the picture below some drops on the lens."""
    height, width = image.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    for _ in range(int(rng.integers(3, 12))):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        axes = (int(rng.uniform(0.008, 0.028) * width), int(rng.uniform(0.02, 0.06) * height))
        cv2.ellipse(mask, centre, axes, 0, 0, 360, 200, -1)
    kernel = max(3, width // 24) | 1  # OpenCV takes odd kernels only
    smear = cv2.blur(image, (kernel, kernel))
    mask = cv2.blur(mask, (3, 3))
    return _blend(image, smear, mask.astype(np.float32) / 255.0)


def expose(image: np.ndarray, *, look: Look, rng: np.random.Generator) -> np.ndarray:
    """Passes the picture through a camera: blur, colour, tone, vignette, noise, compression."""
    height, width = image.shape[:2]
    sigma = rng.uniform(*look.blur) * width / _REFERENCE_WIDTH
    if sigma > 0.25:
        image = cv2.GaussianBlur(image, (0, 0), sigma)
    image = cv2.transform(image, _colour_matrix(look, rng))
    image = cv2.LUT(image, _tone_curve(rng.uniform(*look.gamma)))
    strength = rng.uniform(*look.vignette)
    sensor = rng.uniform(*look.noise)
    if strength > 0.02 or sensor > 0.1:
        picture = image.astype(np.float32)
        picture *= 1.0 - strength * _vignette(height, width)
        image = noise.add_grain(rng, picture, deviation=sensor)
    if look.jpeg:
        quality = int(rng.integers(*look.jpeg))
        done, code = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        assert done
        image = cv2.imdecode(code, cv2.IMREAD_COLOR)
    return image


def _colour_matrix(look: Look, rng: np.random.Generator) -> np.ndarray:
    grey = np.float32([0.114, 0.587, 0.299])
    saturation = rng.uniform(*look.saturation)
    matrix = saturation * np.eye(3) + (1.0 - saturation) * grey[None, :]
    tint = np.array([rng.uniform(*span) for span in look.tint])
    return (rng.uniform(*look.gain) * tint[:, None] * matrix).astype(np.float32)


def _tone_curve(gamma: float) -> np.ndarray:
    curve = 255.0 * (np.arange(256) / 255.0) ** gamma
    return np.rint(curve).astype(np.uint8)


@lru_cache(maxsize=8)
def _vignette(height: int, width: int) -> np.ndarray:
    y = np.linspace(-1.0, 1.0, height, dtype=np.float32)[:, None]
    x = np.linspace(-1.0, 1.0, width, dtype=np.float32)[None, :]
    return ((x * x + y * y) / 2.0)[..., None]


def own_hood(
    image: np.ndarray, label: np.ndarray, *, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Shows the own car's hood at the bottom, ignored in the label."""
    height, width = label.shape
    rise = rng.uniform(0.04, 0.1) * height
    angles = np.linspace(math.pi, 2 * math.pi, 25)
    points = np.stack(
        [width * (0.5 + 0.62 * np.cos(angles)), height + 1 + rise * np.sin(angles)], axis=1
    )
    pixels = [np.rint(points * 8).astype(np.int32)]
    shade = float(rng.uniform(0.25, 0.9))
    # the hood takes on the light of the scene
    tone = cv2.mean(image[-max(1, height // 8) :])[:3]
    colour = tuple(shade * c + 18 * shade for c in tone)
    cv2.fillPoly(image, pixels, colour, cv2.LINE_AA, 3)
    cv2.fillPoly(label, pixels, labels.IGNORE, 8, 3)
    return image, label


def ignore_borders(label: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Ignores thin bands on some borders between classes, as careful annotators do."""
    height, width = label.shape
    border = np.zeros(label.shape, bool)
    border[:, 1:] |= label[:, 1:] != label[:, :-1]
    border[1:] |= label[1:] != label[:-1]
    unsure = noise.patch(rng, 16, height=height, width=width, stretch=width / _REFERENCE_WIDTH)
    label[border & (unsure > 0.34)] = labels.IGNORE
    return label


def weather(
    image: np.ndarray, label: np.ndarray, *, air: Air, rng: np.random.Generator
) -> np.ndarray:
    """Applies texture, wet ground, rain, snow and drops on the lens, if the air has them."""
    image = roughen(image, label, air=air, rng=rng)
    if air.wet > 0.02:
        image = wet_ground(image, label, air=air, rng=rng)
    if air.look.streaks[1]:
        image = streaks(image, air=air, rng=rng)
    if air.look.flakes[1]:
        image = flakes(image, air=air, rng=rng)
    if rng.random() < air.look.drops:
        image = lens_drops(image, rng=rng)
    return image
