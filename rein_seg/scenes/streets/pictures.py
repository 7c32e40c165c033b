"""Pictures of random streets with what can be seen in them, for captions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rein_seg.scenes.drawing.request import SPLITS, generators
from rein_seg.scenes.streets import effects, labels
from rein_seg.scenes.streets.air import Air
from rein_seg.scenes.streets.domains import DOMAINS, Domain
from rein_seg.scenes.streets.furniture import Pole
from rein_seg.scenes.streets.generator import draw_camera, draw_items
from rein_seg.scenes.streets.ground import GroundPainter
from rein_seg.scenes.streets.ground_light import light_ground
from rein_seg.scenes.streets.owners import NOTHING, OwnerCanvas, labels_of, split_code
from rein_seg.scenes.streets.random_looks import draw_look, draw_town
from rein_seg.scenes.streets.sky import draw_sky, draw_skyline
from rein_seg.scenes.streets.street import draw_street
from rein_seg.scenes.streets.things import Thing, thing_of

# Random numbers follow from (seed, domain, split, index): these names are in no benchmark.
NAMESPACE = 'captions'
PARTS = ('pretraining', 'held out')
assert NAMESPACE not in DOMAINS and not set(PARTS) & set(SPLITS)


@dataclass(frozen=True)
class Picture:
    """A picture of a street, and the things in it.

    Args:
        image: (H, W, 3) uint8, BGR.
        codes: (H, W) uint16: which part of which thing each pixel shows.
        things: Part of a thing by code.
        air: Light and weather.
    """

    image: np.ndarray
    codes: np.ndarray
    things: dict[int, Thing]
    air: Air

    def seen(self, window: tuple[int, int, int, int]) -> list[tuple[Thing, int, float]]:
        """Returns things in a window, the largest first: thing, pixels, place from left to right.

        Args:
            window: (top, left, bottom, right) in pixels.
        """
        top, left, bottom, right = window
        part = self.codes[top:bottom, left:right]
        codes, inverse, counts = np.unique(part, return_inverse=True, return_counts=True)
        columns = np.broadcast_to(np.arange(right - left) + 0.5, part.shape)
        sums = np.bincount(inverse.ravel(), columns.ravel())
        found = [
            (self.things[code], int(count), float(total / count / (right - left)))
            for code, count, total in zip(codes.tolist(), counts, sums, strict=True)
            if code != NOTHING
        ]
        return sorted(found, key=lambda entry: -entry[1])


def render_picture(
    index: int, *, part: str = 'pretraining', seed: int = 0, size: tuple[int, int] = (256, 128)
) -> Picture:
    """Renders a random street under a random look.

    Args:
        index: Number of the street, >= 0.
        part: One of PARTS; they share no street.
        seed: Seed of all streets and looks, >= 0.
        size: (width, height) in pixels.

    Raises:
        UserError: If index is negative.

    Example:
        >>> from rein_seg.scenes.streets.pictures import render_picture
        >>> picture = render_picture(0, size=(64, 32))
        >>> thing, pixels, place = picture.seen((0, 0, 32, 64))[0]
        >>> picture.image.shape, thing.label, pixels
        ((32, 64, 3), 13, 300)
    """
    plan, rng = generators(NAMESPACE, part, index, seed=seed, number=2)
    look, town = draw_look(plan), draw_town(plan)
    street = draw_street(town, plan)
    ego = int(plan.integers(street.lane_count(1)))
    camera = draw_camera(street, town, plan, ego=ego, size=size)
    hood = plan.random() < town.hood
    items = draw_items(street, Domain(NAMESPACE, look, town), plan, ego=ego)
    canvas = OwnerCanvas(camera, Air.draw(look, plan), rng=rng)
    draw_sky(canvas)
    GroundPainter(canvas, street).paint()
    lamps = [(i.x + i.arm, i.z) for i in items if isinstance(i, Pole) and i.lamp]
    light_ground(canvas, street, items, lamps=np.reshape(np.float32(lamps), (-1, 2)))
    draw_skyline(canvas)
    canvas.draw_all(items)
    image, codes = canvas.finish()
    surfaces = labels_of(codes)
    image = effects.weather(image, surfaces, air=canvas.air, rng=rng)
    if hood:
        image, surfaces = effects.own_hood(image, surfaces, rng=rng)
        codes[surfaces == labels.IGNORE] = NOTHING
    things = {}
    for code in np.unique(codes).tolist():
        if code != NOTHING:
            owner, label = split_code(code)
            things[code] = thing_of(items[owner - 1], label) if owner else Thing(label)
    return Picture(effects.expose(image, look=look, rng=rng), codes, things, canvas.air)
