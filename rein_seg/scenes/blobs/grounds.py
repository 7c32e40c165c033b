"""Surroundings of the blobs: the wall of a gut, or the floor of a forest."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from rein_seg.scenes.blobs.shapes import draw_shape
from rein_seg.scenes.blobs.sketch import Sketch, by_colour, smooth
from rein_seg.scenes.blobs.textures import vessels

# absorption of blue, green and red light by blood
_BLOOD = (0.75, 0.85, 0.28)
_SHIFT = 3


@dataclass(frozen=True)
class Ground:
    """A surface without blobs.

    Args:
        colour: (3, H, W), shared by ground and blobs.
        detail: (3, H, W), a factor for the ground alone.
        height: (H, W) in sides.
        light: (H, W), share of the light that reaches ground and blobs.
    """

    colour: np.ndarray
    detail: np.ndarray
    height: np.ndarray
    light: np.ndarray


def draw_ground(sketch: Sketch) -> Ground:
    """Draws the ground of a domain."""
    return leaves(sketch) if sketch.look.ground == 'leaves' else tissue(sketch)


def tissue(sketch: Sketch) -> Ground:
    """Draws a wall with folds, stains and vessels."""
    colour = _stained(sketch)
    field = vessels(sketch) * smooth(0.75 + 0.9 * sketch.noise(0.5))
    detail = 1.0 - by_colour(_BLOOD) * (sketch.between(sketch.look.detail) * field)
    detail *= 1.0 + 0.05 * sketch.noise(0.03)
    view = _tube if sketch.rng.random() < sketch.look.lumen else _wall
    height, light = view(sketch)
    return Ground(colour, detail, height + 0.012 * sketch.noise(0.25), light)


def leaves(sketch: Sketch) -> Ground:
    """Draws fallen leaves that lie over one another."""
    picture = _litter(sketch)
    # blobs take on the blurred colours around them: edges of leaves must not shine through
    colour = cv2.GaussianBlur(picture, (0, 0), 0.06 * sketch.side)
    detail = np.stack(cv2.split((picture + 0.02) / (colour + 0.02)))
    detail = 1.0 + sketch.between(sketch.look.detail) * (detail - 1.0)
    detail *= 1.0 + 0.12 * sketch.noise(0.025)
    height = 0.02 * sketch.noise(0.3) + 0.004 * sketch.noise(0.06)
    return Ground(np.stack(cv2.split(colour)), detail, height, np.ones_like(height))


def _base_colours(sketch: Sketch) -> tuple[np.ndarray, np.ndarray]:
    """Draws the two colours (3, 1, 1) that a picture mixes, near one another."""
    rng = sketch.rng
    low, high = (by_colour(colour) for colour in sketch.look.colours)
    share = np.clip(rng.random() + rng.normal(0.0, 0.12, 3), 0.0, 1.0)
    first = low + (high - low) * by_colour(share)
    wander = sketch.between(sketch.look.mottle)
    return first, first * by_colour(1.0 + wander * rng.uniform(-1.0, 1.0, 3))


def _stained(sketch: Sketch) -> np.ndarray:
    """Returns colours that wander, with stains that are no blobs."""
    rng = sketch.rng
    first, second = _base_colours(sketch)
    share = smooth(0.5 + 0.7 * sketch.noise(0.5) + 0.35 * sketch.noise(0.2))
    colour = first + share * (second - first)
    for _ in range(int(rng.integers(sketch.look.decoys + 1))):
        stain = draw_shape(sketch, sketch.place(), radius=sketch.between((0.06, 0.2)))
        factor = (1.0 + rng.uniform(-0.16, 0.16, 3)) * (1.0 + rng.uniform(-0.12, 0.12))
        colour *= 1.0 + stain.cover(sketch.between((0.1, 0.7))) * by_colour(factor - 1.0)
    return colour


def _tube(sketch: Sketch) -> tuple[np.ndarray, np.ndarray]:
    """Returns height and light of a view along the gut: rings of folds around a dark end."""
    x, y = sketch.grid
    centre = sketch.place(0.15)
    distance, angle = cv2.cartToPolar(x - np.float32(centre[0]), y - np.float32(centre[1]))
    corners = sketch.between((0.05, 0.2)) * np.cos(3 * angle + np.float32(sketch.turn()))
    distance = distance * (1.0 + corners + 0.25 * sketch.noise(0.45)) + 0.01
    # rings at equal distances along a tube appear at equal steps of the logarithm
    phase = sketch.between((1.3, 2.4)) * np.log(distance + 0.04) + sketch.rng.random()
    place = phase - np.floor(phase)  # 0 just behind a fold, rising towards the next, nearer one
    height = sketch.between(sketch.look.fold) * 2.2 * distance * np.exp(7.0 * place - 7.0)
    shadow = 1.0 - sketch.between((0.25, 0.55)) * np.exp(-6.0 * place)
    light = shadow * (0.12 + 0.88 * smooth(distance / sketch.between((0.2, 0.5)) + 0.05))
    light = cv2.GaussianBlur(light, (0, 0), 0.009 * sketch.side)
    return cv2.GaussianBlur(height, (0, 0), 0.012 * sketch.side), light


def _wall(sketch: Sketch) -> tuple[np.ndarray, np.ndarray]:
    """Returns height and light of a view onto the wall: a few folds across it."""
    x, y = sketch.grid
    turn = sketch.turn()
    along = math.cos(turn) * x + math.sin(turn) * y + 0.12 * sketch.noise(0.5)
    phase = sketch.between((0.7, 2.0)) * along + sketch.rng.random()
    place = phase - np.floor(phase)
    height = sketch.between(sketch.look.fold) * 2.0 * np.exp(-14.0 * (place - 0.5) ** 2)
    light = 1.0 - sketch.between((0.0, 0.35)) * smooth(1.0 - 5.0 * np.abs(place - 0.72))
    return height, light


def _litter(sketch: Sketch) -> np.ndarray:
    """Returns leaves (H, W, 3), 0..1."""
    rng = sketch.rng
    first, second = (255.0 * colour.ravel() for colour in _base_colours(sketch))
    count = int(rng.integers(110, 170))
    colours = first + rng.random((count, 1)) * (second - first)
    colours = colours * rng.uniform(0.5, 1.35, (count, 1)) * rng.normal(1.0, 0.13, (count, 3))
    outlines, ribs = _leaf_outlines(sketch, count)
    picture = np.full((sketch.height, sketch.width, 3), 0.4 * first, np.uint8)
    # each leaf is painted over its own shadow
    drop = round(0.011 * sketch.side * (1 << _SHIFT))
    thick = max(1, round(0.7 * sketch.scale))
    for outline, rib, colour in zip(outlines, ribs, colours.tolist(), strict=True):
        shadow, light = [0.45 * c for c in colour], [1.25 * c for c in colour]
        cv2.fillPoly(picture, [outline + drop], shadow, cv2.LINE_AA, _SHIFT)
        cv2.fillPoly(picture, [outline], colour, cv2.LINE_AA, _SHIFT)
        cv2.polylines(picture, [rib], False, light, thick, cv2.LINE_AA, _SHIFT)
    return picture * np.float32(1 / 255)


def _leaf_outlines(sketch: Sketch, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns fixed-point outlines (M, 16, 2) and midribs (M, 2, 2) of leaves."""
    rng = sketch.rng
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
    points += rng.uniform(-0.05, 1.05, (count, 1, 2)) * sketch.extent
    fixed = np.rint(points * (sketch.side * (1 << _SHIFT))).astype(np.int32)
    return fixed, np.ascontiguousarray(fixed[:, [0, 8]])
