"""Renders an image of five bands from (seed, domain, split, index, size).

Reflectances are times 10000, as satellites' products are; height is in centimetres. Some classes
look alike in red, green and blue: artificial turf and crops differ in the near infrared, water and
forest too, roads and flat roofs in height.

H x W image.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from rein_seg.scenes.drawing import noise
from rein_seg.scenes.drawing.draws import between
from rein_seg.scenes.drawing.request import check_request, generators
from rein_seg.scenes.fields import land
from rein_seg.scenes.fields.domains import DOMAINS, Look, look_of
from rein_seg.scenes.fields.land import BUILDING, CLASSES, CROP, FOREST, ROAD, SOIL, TURF, WATER

GENERATOR_VERSION = 1
BANDS = ('red', 'green', 'blue', 'nir', 'height')
_SCALE = 10_000  # of reflectances
_CENTIMETRES = 100

# red, green, blue, near infrared of full growth, 0..1
_GREEN = (0.07, 0.13, 0.05)
_DARK = (0.035, 0.06, 0.035)
_GREY = (0.17, 0.17, 0.165)
_SPECTRA = {
    SOIL: (0.2, 0.15, 0.1, 0.28),
    CROP: (*_GREEN, 0.5),
    FOREST: (*_DARK, 0.4),
    WATER: (*_DARK, 0.02),
    TURF: (*_GREEN, 0.14),
    ROAD: (*_GREY, 0.2),
    BUILDING: (*_GREY, 0.2),
}
_WITHERED = (0.16, 0.14, 0.08, 0.27)
_BARE_TREES = (0.09, 0.075, 0.05, 0.2)
# deviation of a parcel's brightness, and of its texture, whose grain is in cells a tile
_VARIETY = {SOIL: 0.12, CROP: 0.15, FOREST: 0.15, WATER: 0.2, TURF: 0.15, ROAD: 0.2, BUILDING: 0.2}
_TEXTURE = {SOIL: 0.06, CROP: 0.07, FOREST: 0.22, WATER: 0.12, TURF: 0.05, ROAD: 0.04,
            BUILDING: 0.04}  # fmt: skip


@dataclass(frozen=True)
class Field:
    """An image and its labels.

    Args:
        image: (H, W, 5) uint16, in the order of BANDS.
        label: (H, W) uint8, indexes of CLASSES.
    """

    image: np.ndarray
    label: np.ndarray


def render(
    domain: str, split: str, index: int, *, seed: int = 0, size: tuple[int, int] = (128, 128)
) -> Field:
    """Renders an image; the same arguments always give the same image.

    Args:
        domain: One of DOMAINS.
        split: One of SPLITS; no two splits share an image.
        index: Number of the image in its split, >= 0.
        seed: Seed of the whole data set, >= 0.
        size: (width, height) in pixels.

    Raises:
        ValueError: If domain or split is unknown, index or seed is negative, or a side of size is
            not a whole number from SMALLEST to LARGEST.

    Example:
        >>> from rein_seg.scenes.fields import BANDS, render
        >>> field = render('drought', 'train', 5, size=(64, 48))
        >>> field.image.shape, field.image.dtype, BANDS[3]
        ((48, 64, 5), dtype('uint16'), 'nir')
    """
    check_request(domain, split, domains=DOMAINS, seed=seed, size=size)
    places, paints, sensor = generators(domain, split, index, seed=seed, number=3)
    look, (width, height) = look_of(domain), (int(side) for side in size)
    label, owner = land.draw_land(places, height, width)
    growth, leaves = between(paints, *look.growth), between(paints, *look.leaves)
    colours = _colours(paints, look, label, owner, growth=growth, leaves=leaves)
    tall = _heights(paints, label, owner, growth)
    bands = _photograph(sensor, look, colours)
    height_band = tall + sensor.normal(0, 0.15, tall.shape)
    image = np.dstack([bands * _SCALE, height_band * _CENTIMETRES])
    return Field(np.rint(np.clip(image, 0, 65535)).astype(np.uint16), label)


def _colours(
    rng: np.random.Generator,
    look: Look,
    label: np.ndarray,
    owner: np.ndarray,
    *,
    growth: float,
    leaves: float,
) -> np.ndarray:
    """Returns reflectances (H, W, 4), 0..1."""
    spectra = np.array([_SPECTRA[kind] for kind in range(len(CLASSES))])
    spectra[CROP] = growth * spectra[CROP] + (1 - growth) * np.array(_WITHERED)
    spectra[FOREST] = leaves * spectra[FOREST] + (1 - leaves) * np.array(_BARE_TREES)
    spectra[SOIL] *= 1.1 - 0.5 * between(rng, *look.wetness)
    variety = np.array([_VARIETY[kind] for kind in range(len(CLASSES))])
    # one brightness for each parcel, and a little colour
    bright = rng.normal(1, 1, int(owner.max()) + 1)
    shade = np.clip(1 + variety[label] * (bright - 1)[owner], 0.5, 1.6)
    tint = rng.normal(1, 0.05, (int(owner.max()) + 1, 4))
    texture = np.array([_TEXTURE[kind] for kind in range(len(CLASSES))])[label]
    fine = noise.patch(rng, 64, height=label.shape[0], width=label.shape[1])
    coarse = noise.patch(rng, 16, height=label.shape[0], width=label.shape[1])
    grain = 1 + texture * (0.7 * fine + 0.3 * coarse) * 2
    return spectra[label] * (shade * grain)[..., None] * tint[owner]


def _heights(
    rng: np.random.Generator, label: np.ndarray, owner: np.ndarray, growth: float
) -> np.ndarray:
    """Returns heights above the ground (H, W), in metres."""
    each = rng.random(int(owner.max()) + 1)[owner]
    crowns = noise.patch(rng, 64, height=label.shape[0], width=label.shape[1])
    tall = np.zeros(label.shape)
    tall[label == CROP] = (growth * (0.4 + each))[label == CROP]
    tall[label == FOREST] = (9 + 8 * each + 3 * crowns)[label == FOREST]
    tall[label == BUILDING] = (4 + 9 * each)[label == BUILDING]
    return tall


def _photograph(rng: np.random.Generator, look: Look, colours: np.ndarray) -> np.ndarray:
    """Returns the reflectances (H, W, 4) that a camera sees."""
    warmth, haze = between(rng, *look.warmth), between(rng, *look.haze)
    light = between(rng, *look.light) * np.array([1 + warmth, 1, 1 - warmth, 1])
    air = haze * np.array([0.6, 0.8, 1.0, 0.1])
    seen = cv2.GaussianBlur(colours, (0, 0), 0.6) * light + air
    return seen + rng.normal(0, between(rng, *look.noise), seen.shape)
