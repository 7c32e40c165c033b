"""Renders a picture from (seed, domain, split, index, size)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rein_seg.datasets.blobs.camera import draw_aperture, expose
from rein_seg.datasets.blobs.domains import DOMAINS, Look, look_of
from rein_seg.datasets.blobs.grounds import Ground, draw_ground
from rein_seg.datasets.blobs.light import shine
from rein_seg.datasets.blobs.shapes import Frame, Shape, draw_shape
from rein_seg.datasets.blobs.textures import PATTERNS
from rein_seg.datasets.procedural.draws import between, distance, weighted
from rein_seg.datasets.procedural.request import check_request, generators

GENERATOR_VERSION = 1
# of the picture; below it blobs are drawn again
_SMALLEST_SHARE = 0.006


@dataclass(frozen=True)
class Picture:
    """A picture and its labels.

    Args:
        image: (H, W, 3) uint8, BGR.
        label: (H, W) uint8, 1 in a blob, else 0.
    """

    image: np.ndarray
    label: np.ndarray


def render(
    domain: str, split: str, index: int, *, seed: int = 0, size: tuple[int, int] = (128, 128)
) -> Picture:
    """Renders one picture; the same arguments always give the same picture.

    Args:
        domain: One of DOMAINS.
        split: One of SPLITS; no two splits share a picture.
        index: Number of the picture in its split, >= 0.
        seed: Seed of the whole data set, >= 0.
        size: (width, height) in pixels.

    Raises:
        ValueError: If domain or split is unknown, index or seed is negative, or a side of size is
            not a whole number from SMALLEST to LARGEST.
    """
    check_request(domain, split, domains=DOMAINS, seed=seed, size=size)
    plan, drawing = generators(domain, split, index, seed=seed, number=2)
    look, frame = look_of(domain), Frame(int(size[0]), int(size[1]))
    aperture = draw_aperture(plan, frame, look)
    blobs, label = _blobs(plan, frame, look, aperture)
    ground = draw_ground(drawing, frame, look)
    colour, height = _cover(drawing, frame, look, ground=ground, blobs=blobs)
    light = shine(drawing, frame, look, height)
    bright = light.diffuse * ground.light
    image = colour * bright[..., None] + (light.gloss * (0.3 + bright))[..., None]
    return Picture(expose(drawing, frame, look, image, aperture), label)


def _blobs(
    rng: np.random.Generator, frame: Frame, look: Look, aperture: np.ndarray | None
) -> tuple[list[Shape], np.ndarray]:
    """Returns outlines and label, with enough of the blobs in view."""
    while True:
        count = 1 + weighted(rng, look.counts)
        low, high = look.radius
        high /= 1.0 + 0.25 * (count - 1)
        shapes = []
        for _ in range(count):
            centre = rng.uniform(0.06, 0.94, 2) * frame.extent
            shapes.append(draw_shape(rng, frame, centre, distance(rng, low, high)))
        label = np.logical_or.reduce([shape.inside for shape in shapes])
        if aperture is not None:
            label &= aperture > 0.5
        if label.mean() >= _SMALLEST_SHARE:
            return shapes, label.astype(np.uint8)


def _cover(
    rng: np.random.Generator, frame: Frame, look: Look, *, ground: Ground, blobs: list[Shape]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns colour (H, W, 3) and height (H, W) with blobs, and with swellings that are none."""
    colour, height = ground.colour * ground.detail, ground.height
    for _ in range(int(rng.integers(look.decoys + 1))):
        radius = between(rng, 0.06, 0.2)
        swelling = draw_shape(rng, frame, rng.uniform(0, 1, 2) * frame.extent, radius)
        height = height + between(rng, *look.dome) * radius * swelling.dome(2.0)
    for blob in blobs:
        colour, height = _add_blob(rng, frame, look, ground, blob, colour, height)
    return colour.astype(np.float32), height.astype(np.float32)


def _add_blob(
    rng: np.random.Generator,
    frame: Frame,
    look: Look,
    ground: Ground,
    blob: Shape,
    colour: np.ndarray,
    height: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    texture = PATTERNS[weighted(rng, look.patterns)](rng, frame)
    strength = between(rng, *look.pattern)
    cloak = between(rng, *look.cloak)
    shift = 1.0 + cloak * rng.uniform(-1, 1, 3) + cloak * rng.uniform(-1, 1)
    left = between(rng, 0.0, 0.3)  # of the ground's detail
    detail = 1.0 + left * (ground.detail - 1.0)
    skin = ground.colour * detail * np.float32(shift) * (1.0 + strength * texture)[..., None]
    share = blob.cover(between(rng, *look.edge))[..., None]
    relief = between(rng, *look.dome) * blob.radius * blob.dome(between(rng, 0.6, 1.4))
    relief += 0.006 * strength * np.where(blob.inside, texture, 0.0)
    return colour + share * (skin - colour), height + relief
