"""Renders a slice from (seed, domain, split, index, size); SLICES in a row are one volume."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from rein_seg.scenes.drawing import noise
from rein_seg.scenes.drawing.draws import between
from rein_seg.scenes.drawing.request import check_request, generators
from rein_seg.scenes.organs.body import HEIGHT, draw_shapes, draw_warp
from rein_seg.scenes.organs.domains import DOMAINS, Look, look_of

GENERATOR_VERSION = 1
SLICES = 12  # of a volume
CLASSES = ('background', 'liver', 'stomach', 'spleen', 'kidney', 'aorta')
_FAT, _MUSCLE, _BOWEL, _BONE, _AIR = 0.08, 0.45, 0.38, 1.0, 0.0
_REFERENCE = 96  # side in pixels that blur and grain are given for


@dataclass(frozen=True)
class Slice:
    """A slice and its labels.

    Args:
        image: (H, W, 3) uint8, three equal channels.
        label: (H, W) uint8, indexes of CLASSES.
    """

    image: np.ndarray
    label: np.ndarray


def render(
    domain: str, split: str, index: int, *, seed: int = 0, size: tuple[int, int] = (96, 96)
) -> Slice:
    """Renders a slice; the same arguments always give the same slice.

    Args:
        domain: One of DOMAINS.
        split: One of SPLITS; no two splits share a volume.
        index: Number of the slice in its split, >= 0: volume index // SLICES, slice
            index % SLICES.
        seed: Seed of the whole data set, >= 0.
        size: (width, height) in pixels.

    Raises:
        ValueError: If domain or split is unknown, index or seed is negative, or a side of size is
            not a whole number from SMALLEST to LARGEST.

    Example:
        >>> from rein_seg.scenes.organs import CLASSES, render
        >>> picture = render('native', 'train', 5, size=(64, 48))
        >>> picture.image.shape, CLASSES[picture.label.max()]
        ((48, 64, 3), 'aorta')
    """
    check_request(domain, split, domains=DOMAINS, seed=seed, size=size)
    volume, at = divmod(index, SLICES)
    # the patient's draws are the same in all slices of the volume
    patient, *scans = generators(domain, split, volume, seed=seed, number=1 + SLICES)
    look, (width, height) = look_of(domain), (int(side) for side in size)
    grey, label = _draw(patient, look, at / (SLICES - 1), height=height, width=width)
    grey = _scan(scans[at], look, grey, contrast=between(patient, *look.contrast),
                 level=between(patient, *look.level))  # fmt: skip
    return Slice(cv2.merge([grey] * 3), label)


def _draw(
    rng: np.random.Generator, look: Look, z: float, *, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draws grey values (H, W), 0..1 in the window, and labels (H, W) of a patient at z."""
    x, y, pixels = _grid(rng, look, height=height, width=width)
    shapes = draw_shapes(rng, between(rng, *look.agent))
    warp = draw_warp(rng, height, width)
    loops = noise.patch(rng, 32, height=height, width=width, stretch=pixels / 48)
    wx, wy = warp(x, y, z)
    grey, label = np.zeros((height, width), np.float32), np.zeros((height, width), np.uint8)

    def cover(depth: np.ndarray, value: float | np.ndarray) -> None:
        share = np.clip(depth * pixels + 0.5, 0.0, 1.0)
        np.copyto(grey, grey + share * (value - grey))

    body = 1.0 - (np.abs(x) ** 2.4 + np.abs(y / HEIGHT) ** 2.4) ** (1 / 2.4)
    cover(body, _FAT)
    cover(body - 0.07, _MUSCLE)
    # the cavity holds fat and loops of bowel
    cover(body - 0.15, np.where(loops > 0.1, np.float32(_BOWEL), np.float32(_FAT + 0.06)))
    for side in (-1, 1):  # tips of the lungs in the upper slices
        cover(0.42 * (1 - np.hypot((wx - 0.48 * side) / 0.4, (wy - 0.05) / 0.5)) - 0.9 * z, _AIR)
    for shape in shapes:
        depth = shape.depth(wx, wy, z)
        cover(depth, shape.grey)
        label[depth > 0] = CLASSES.index(shape.organ.name)
        if shape.organ.name == 'stomach':  # gas gathers in front
            cover(np.minimum(depth - 0.03, shape.centre[1] - 0.08 - wy), _AIR)
        if shape.organ.name == 'kidney':  # the pelvis is darker
            cover(depth - 0.09, 0.4)
    cover(0.14 - np.hypot(x / 1.2, y - 0.47), _BONE)
    cover(0.05 - np.hypot(x, y - 0.36), _MUSCLE)
    return grey, label


def _grid(
    rng: np.random.Generator, look: Look, *, height: int, width: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Returns places x and y (H, W) of the pixels, and the pixels of the body's half width."""
    side = min(height, width)
    pixels = between(rng, *look.zoom) * side / 2
    dx, dy = rng.uniform(-look.shift, look.shift, 2) * side
    turn = rng.uniform(-0.1, 0.1)
    columns = (np.arange(width, dtype=np.float32) + 0.5 - width / 2 - dx) / pixels
    rows = (np.arange(height, dtype=np.float32) + 0.5 - height / 2 - dy) / pixels
    x, y = np.meshgrid(columns.astype(np.float32), rows.astype(np.float32))
    cos, sin = np.float32(math.cos(turn)), np.float32(math.sin(turn))
    return cos * x + sin * y, cos * y - sin * x, pixels


def _scan(
    rng: np.random.Generator, look: Look, grey: np.ndarray, *, contrast: float, level: float
) -> np.ndarray:
    """Returns a scan (H, W) uint8 of grey values: blurred, windowed, with noise and streaks."""
    scale = min(grey.shape) / _REFERENCE
    grey = cv2.GaussianBlur(grey, (0, 0), between(rng, *look.blur) * scale)
    grey = 255.0 * ((grey - 0.5) * contrast + 0.5 + level)
    grain = between(rng, *look.grain) * scale
    grey = grey + between(rng, *look.noise) * _noise(rng, grey.shape, (grain, grain))
    grey = grey + between(rng, *look.streaks) * _noise(rng, grey.shape, (14.0 * scale, 0.4))
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)


def _noise(
    rng: np.random.Generator, shape: tuple[int, ...], width: tuple[float, float]
) -> np.ndarray:
    """Draws noise (H, W) of deviation 1, smooth over a width along x and y in pixels."""
    field = rng.standard_normal(shape, dtype=np.float32)
    field = cv2.GaussianBlur(field, (0, 0), sigmaX=width[0], sigmaY=width[1])
    return field / max(float(field.std()), 1e-6)
