"""Pictures of a street under several looks, aligned pixel by pixel, without labels."""

from __future__ import annotations

import math

import cv2
import numpy as np

from rein_seg.scenes.drawing.request import SPLITS, generators
from rein_seg.scenes.streets import effects
from rein_seg.scenes.streets.air import Air
from rein_seg.scenes.streets.canvas import Canvas
from rein_seg.scenes.streets.domains import DOMAINS, Domain
from rein_seg.scenes.streets.furniture import Pole
from rein_seg.scenes.streets.generator import draw_camera, draw_items
from rein_seg.scenes.streets.ground import GroundPainter
from rein_seg.scenes.streets.ground_light import light_ground
from rein_seg.scenes.streets.items import Item
from rein_seg.scenes.streets.random_looks import NEUTRAL, draw_look, draw_town
from rein_seg.scenes.streets.sky import draw_sky, draw_skyline
from rein_seg.scenes.streets.street import Street, draw_street

# A picture's random numbers follow from (seed, domain, split, index): with names that no benchmark
# has, no scene of a benchmark can come up, whatever seed and index.
NAMESPACE = ('pretraining', 'unlabelled')
assert NAMESPACE[0] not in DOMAINS and NAMESPACE[1] not in SPLITS


def render_views(
    index: int, *, seed: int = 0, size: tuple[int, int] = (256, 128), count: int = 1
) -> list[np.ndarray]:
    """Renders a random street in neutral light, then under random looks.

    All views share street, things and camera. Light, weather, ground and sky colours, colour
    rendering, lens and sensor differ.

    Args:
        index: Number of the street, >= 0.
        seed: Seed of all streets and looks, >= 0.
        size: (width, height) in pixels.
        count: Number of random looks.

    Returns:
        1 + count images (H, W, 3), uint8, BGR, the neutral image first.

    Raises:
        UserError: If index is negative.

    Example:
        >>> from rein_seg.scenes.streets.views import render_views
        >>> [view.shape for view in render_views(0, size=(64, 32), count=2)]
        [(32, 64, 3), (32, 64, 3), (32, 64, 3)]
    """
    plan, looks, *drawing = generators(*NAMESPACE, index, seed=seed, number=3 + count)
    place = Domain(NAMESPACE[0], NEUTRAL, draw_town(plan))
    street = draw_street(place.town, plan)
    ego = int(plan.integers(street.lane_count(1)))
    camera = draw_camera(street, place.town, plan, ego=ego, size=size)
    hood = int(plan.integers(2**31)) if plan.random() < place.town.hood else None
    items = draw_items(street, Domain(place.name, draw_look(plan), place.town), plan, ego=ego)
    shared = int(plan.integers(2**31))
    views = []
    for number, rng in enumerate(drawing):
        look = draw_look(looks) if number else NEUTRAL
        canvas = Canvas(camera, Air.draw(look, rng), rng=rng)
        _paint(canvas, street, items, shared=shared)
        image = _develop(canvas, rng=rng, hood=hood)
        views.append(_recolour(image, rng) if number else image)
    return views


def _paint(canvas: Canvas, street: Street, items: list[Item], *, shared: int) -> None:
    """Paints as the benchmark's generator does, but draws all shapes from ``shared``."""
    own = canvas.rng
    draw_sky(canvas)
    canvas.rng = np.random.default_rng(shared)
    GroundPainter(canvas, street).paint()
    canvas.rng = own
    lamps = [(i.x + i.arm, i.z) for i in items if isinstance(i, Pole) and i.lamp]
    light_ground(canvas, street, items, lamps=np.reshape(np.float32(lamps), (-1, 2)))
    canvas.rng = np.random.default_rng(shared + 1)
    draw_skyline(canvas)
    for item in sorted(items, key=lambda item: -item.depth):
        item.draw(canvas)
    canvas.rng = own


def _develop(canvas: Canvas, *, rng: np.random.Generator, hood: int | None) -> np.ndarray:
    # the label picture only tells where to put texture and reflections; it is not returned
    image, surfaces = canvas.finish()
    image = effects.weather(image, surfaces, air=canvas.air, rng=rng)
    if hood is not None:
        image, _ = effects.own_hood(image, surfaces, rng=np.random.default_rng(hood))
    return effects.expose(image, look=canvas.air.look, rng=rng)


def _recolour(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turns the hues of every second picture by a random angle around grey."""
    angle = float(rng.normal(0.0, 0.5)) if rng.random() < 0.5 else 0.0
    third, cos, sin = (1.0 - math.cos(angle)) / 3.0, math.cos(angle), math.sin(angle) / 3**0.5
    turn = np.float32(
        [
            [cos + third, third - sin, third + sin],
            [third + sin, cos + third, third - sin],
            [third - sin, third + sin, cos + third],
        ]
    )
    return cv2.transform(image, turn) if angle else image
