"""Renders a picture from (seed, domain, split, index, size)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rein_seg.scenes.blobs.camera import draw_aperture, expose
from rein_seg.scenes.blobs.domains import DOMAINS, look_of
from rein_seg.scenes.blobs.grounds import Ground, draw_ground
from rein_seg.scenes.blobs.light import shine
from rein_seg.scenes.blobs.shapes import Shape, draw_shape
from rein_seg.scenes.blobs.sketch import Sketch, by_colour
from rein_seg.scenes.blobs.textures import PATTERNS
from rein_seg.scenes.drawing.draws import distance, weighted
from rein_seg.scenes.drawing.request import check_request, generators

GENERATOR_VERSION = 2
# share of the picture; if the blobs cover less, they are drawn again
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
    """Renders a picture; the same arguments always give the same picture.

    Args:
        domain: One of DOMAINS.
        split: One of SPLITS; no two splits share a picture.
        index: Number of the picture in its split, >= 0.
        seed: Seed of the whole data set, >= 0.
        size: (width, height) in pixels.

    Raises:
        ValueError: If domain or split is unknown, index or seed is negative, or a side of size is
            not a whole number from SMALLEST to LARGEST.

    Example:
        >>> from rein_seg.scenes.blobs import render
        >>> picture = render('leafy', 'train', 0, size=(48, 32))
        >>> picture.image.shape, picture.label.max()
        ((32, 48, 3), np.uint8(1))
    """
    check_request(domain, split, domains=DOMAINS, seed=seed, size=size)
    # two sources of draws: a change of the drawing leaves outlines and labels as they are
    plan, drawing = (
        Sketch(rng, look_of(domain), *(int(side) for side in size))
        for rng in generators(domain, split, index, seed=seed, number=2)
    )
    aperture = draw_aperture(plan)
    blobs, label = _blobs(plan, aperture)
    ground = draw_ground(drawing)
    colour, height = _cover(drawing, ground, blobs=blobs)
    diffuse, gloss = shine(drawing, height)
    bright = diffuse * ground.light
    light = colour * bright + gloss * (0.3 + bright)
    return Picture(expose(drawing, light, aperture=aperture), label)


def _blobs(plan: Sketch, aperture: np.ndarray | None) -> tuple[list[Shape], np.ndarray]:
    """Draws blobs until enough of them is in view; returns outlines and label."""
    low, high = plan.look.radius
    while True:
        count = 1 + weighted(plan.rng, plan.look.counts)
        # several blobs are smaller, so that they seldom merge
        most = high / (1.0 + 0.25 * (count - 1))
        shapes = [
            draw_shape(plan, plan.place(0.06), radius=distance(plan.rng, low, most))
            for _ in range(count)
        ]
        label = np.logical_or.reduce([shape.inside for shape in shapes])
        if aperture is not None:
            label &= aperture > 0.5
        if label.mean() >= _SMALLEST_SHARE:
            return shapes, label.astype(np.uint8)


def _cover(sketch: Sketch, ground: Ground, *, blobs: list[Shape]) -> tuple[np.ndarray, np.ndarray]:
    """Covers the ground with blobs and decoys; returns colour (3, H, W) and height (H, W)."""
    colour, height = ground.colour * ground.detail, ground.height
    for _ in range(int(sketch.rng.integers(sketch.look.decoys + 1))):
        swelling = draw_shape(sketch, sketch.place(), radius=sketch.between((0.06, 0.2)))
        rise = sketch.between(sketch.look.dome) * swelling.radius
        height = height + rise * swelling.dome(2.0)
    for blob in blobs:
        texture = PATTERNS[weighted(sketch.rng, sketch.look.patterns)](sketch)
        strength = sketch.between(sketch.look.pattern)
        skin = _skin(sketch, ground) * (1.0 + strength * texture)
        colour = colour + blob.cover(sketch.between(sketch.look.edge)) * (skin - colour)
        rise = sketch.between(sketch.look.dome) * blob.radius
        height = height + rise * blob.dome(sketch.between((0.6, 1.4)))
        height += (0.006 * strength) * (texture * blob.inside)
    return colour, height


def _skin(sketch: Sketch, ground: Ground) -> np.ndarray:
    """Returns a blob's colour (3, H, W) without texture: close to the ground's, but smoother."""
    cloak = sketch.between(sketch.look.cloak)
    shift = 1.0 + cloak * (sketch.rng.uniform(-1, 1, 3) + sketch.rng.uniform(-1, 1))
    detail = 1.0 + sketch.between((0.0, 0.3)) * (ground.detail - 1.0)
    return ground.colour * detail * by_colour(shift)
