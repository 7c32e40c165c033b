"""What lies around the blobs: the wall of a gut, or the floor of a forest."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from rein_seg.datasets.blobs.domains import Look
from rein_seg.datasets.blobs.shapes import Frame, draw_shape, smooth
from rein_seg.datasets.blobs.textures import vessels
from rein_seg.datasets.procedural.draws import between

# what blood takes from blue, green and red light
_BLOOD = np.float32([0.75, 0.85, 0.28])


@dataclass(frozen=True)
class Ground:
    """A surface without blobs.

    Args:
        colour: (H, W, 3), what ground and blobs share.
        detail: (H, W, 3), a factor that blobs lack.
        height: (H, W) in sides.
        light: (H, W), a factor for both: how much light gets there.
    """

    colour: np.ndarray
    detail: np.ndarray
    height: np.ndarray
    light: np.ndarray


def draw_ground(rng: np.random.Generator, frame: Frame, look: Look) -> Ground:
    """Draws the ground of a look."""
    return leaves(rng, frame, look) if look.ground == 'leaves' else tissue(rng, frame, look)


def tissue(rng: np.random.Generator, frame: Frame, look: Look) -> Ground:
    """Draws a wall with folds, stains and vessels."""
    colour = _stained(rng, frame, look)
    field = vessels(rng, frame) * smooth(0.75 + 0.9 * frame.noise(rng, 0.5))
    detail = 1.0 - (between(rng, *look.detail) * field)[..., None] * _BLOOD
    detail *= 1.0 + 0.05 * frame.noise(rng, 0.03)[..., None]
    height, light = (
        _tube(rng, frame, look) if rng.random() < look.lumen else _wall(rng, frame, look)
    )
    height = height + 0.012 * frame.noise(rng, 0.25)
    return Ground(colour, detail, height, light)


def leaves(rng: np.random.Generator, frame: Frame, look: Look) -> Ground:
    """Draws fallen leaves that lie over one another."""
    picture = _litter(rng, frame, look)
    colour = cv2.GaussianBlur(picture, (0, 0), 0.06 * frame.side)
    detail = (picture + 0.02) / (colour + 0.02)
    detail = 1.0 + between(rng, *look.detail) * (detail - 1.0)
    detail *= 1.0 + 0.12 * frame.noise(rng, 0.025)[..., None]
    height = 0.02 * frame.noise(rng, 0.3) + 0.004 * frame.noise(rng, 0.06)
    return Ground(colour, detail, height, np.ones_like(height))


def base_colours(rng: np.random.Generator, look: Look) -> tuple[np.ndarray, np.ndarray]:
    """Draws the two colours that a picture mixes, near one another."""
    low, high = np.float32(look.colours[0]), np.float32(look.colours[1])
    first = low + (high - low) * np.float32(np.clip(rng.random() + rng.normal(0, 0.12, 3), 0, 1))
    return first, first * np.float32(1.0 + between(rng, *look.mottle) * rng.uniform(-1, 1, 3))


def _stained(rng: np.random.Generator, frame: Frame, look: Look) -> np.ndarray:
    first, second = base_colours(rng, look)
    share = smooth(0.5 + 0.7 * frame.noise(rng, 0.5) + 0.35 * frame.noise(rng, 0.2))
    colour = first + share[..., None] * (second - first)
    for _ in range(int(rng.integers(look.decoys + 1))):
        centre = rng.uniform(0, 1, 2) * frame.extent
        stain = draw_shape(rng, frame, centre, between(rng, 0.06, 0.2))
        factor = 1.0 + rng.uniform(-0.16, 0.16, 3)
        factor *= 1.0 + rng.uniform(-0.12, 0.12)
        colour *= 1.0 + stain.cover(between(rng, 0.1, 0.7))[..., None] * np.float32(factor - 1.0)
    return colour


def _tube(rng: np.random.Generator, frame: Frame, look: Look) -> tuple[np.ndarray, np.ndarray]:
    """Returns height and light of a view along the gut: rings of folds around a dark end."""
    x, y = frame.grid
    centre = rng.uniform(0.15, 0.85, 2) * frame.extent
    distance, angle = cv2.cartToPolar(x - np.float32(centre[0]), y - np.float32(centre[1]))
    corners = between(rng, 0.05, 0.2) * np.cos(3 * angle + np.float32(rng.uniform(0, 6.3)))
    distance = distance * (1.0 + corners + 0.25 * frame.noise(rng, 0.45)) + 0.01
    phase = between(rng, 1.3, 2.4) * np.log(distance + 0.04) + rng.uniform(0, 1)
    place = phase - np.floor(phase)  # 0 just behind a fold, rising towards the next, nearer one
    height = between(rng, *look.fold) * 2.2 * distance * np.exp(-7.0 * (1.0 - place))
    shadow = 1.0 - between(rng, 0.25, 0.55) * np.exp(-6.0 * place)
    depth = smooth(distance / between(rng, 0.2, 0.5) + 0.05)
    soft = cv2.GaussianBlur(shadow * (0.12 + 0.88 * depth), (0, 0), 0.009 * frame.side)
    return cv2.GaussianBlur(height, (0, 0), 0.012 * frame.side), soft


def _wall(rng: np.random.Generator, frame: Frame, look: Look) -> tuple[np.ndarray, np.ndarray]:
    """Returns height and light of a view onto the wall: a few folds across it."""
    x, y = frame.grid
    turn = rng.uniform(0, 2 * math.pi)
    along = math.cos(turn) * x + math.sin(turn) * y + 0.12 * frame.noise(rng, 0.5)
    phase = between(rng, 0.7, 2.0) * along + rng.uniform(0, 1)
    place = phase - np.floor(phase)
    crest = np.exp(-14.0 * (place - 0.5) ** 2)
    height = between(rng, *look.fold) * 2.0 * crest
    shadow = 1.0 - between(rng, 0.0, 0.35) * smooth(1.0 - 5.0 * np.abs(place - 0.72))
    return height, shadow.astype(np.float32)


def _litter(rng: np.random.Generator, frame: Frame, look: Look) -> np.ndarray:
    """Returns leaves (H, W, 3), float32, 0..1."""
    first, second = (c * 255.0 for c in base_colours(rng, look))
    picture = np.full((frame.height, frame.width, 3), (0.4 * first).tolist(), np.uint8)
    count = int(rng.integers(110, 170))
    shares, shades = rng.random((count, 1)), rng.uniform(0.5, 1.35, (count, 1))
    hues = rng.normal(1.0, 0.13, (count, 3))
    colours = (first + shares * (second - first)) * shades * hues
    outlines, ribs = _leaf_outlines(rng, frame, count)
    drop = np.int32([1, 1]) * round(0.011 * frame.side * 8)
    for outline, rib, colour in zip(outlines, ribs, colours.tolist(), strict=True):
        dark, light = [0.45 * c for c in colour], [1.25 * c for c in colour]
        cv2.fillPoly(picture, [outline + drop], dark, cv2.LINE_AA, 3)
        cv2.fillPoly(picture, [outline], colour, cv2.LINE_AA, 3)
        cv2.polylines(picture, [rib], False, light, 1, cv2.LINE_AA, 3)
    return picture.astype(np.float32) / 255.0


def _leaf_outlines(
    rng: np.random.Generator, frame: Frame, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns fixed-point outlines (M, 16, 2) and midribs (M, 2, 2) of leaves."""
    angles = np.linspace(0, 2 * math.pi, 16, endpoint=False)
    # pointed at both ends
    along, across = np.cos(angles), np.sin(angles) * np.abs(np.sin(angles)) ** 0.5
    length = rng.uniform(0.05, 0.15, (count, 1))
    width = length * rng.uniform(0.2, 0.55, (count, 1))
    curve = rng.normal(0.0, 0.25, (count, 1)) * length
    x, y = length * along, width * across + curve * along**2
    turn = rng.uniform(0, 2 * math.pi, (count, 1))
    cos, sin = np.cos(turn), np.sin(turn)
    points = np.stack([cos * x - sin * y, sin * x + cos * y], axis=2)
    points += rng.uniform(-0.05, 1.05, (count, 1, 2)) * frame.extent
    fixed = np.rint(points * (frame.side * 8)).astype(np.int32)
    return fixed, np.ascontiguousarray(fixed[:, [0, 8]])
