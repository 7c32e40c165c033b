"""Renders a picture of MiniVehicles from (seed, domain, split, index, size)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rein_seg.scenes.drawing.request import check_request, generators
from rein_seg.scenes.streets import effects, frontage, roadside
from rein_seg.scenes.streets.air import Air
from rein_seg.scenes.streets.canvas import Canvas
from rein_seg.scenes.streets.domains import DOMAINS, Domain, domain_of
from rein_seg.scenes.streets.furniture import Pole
from rein_seg.scenes.streets.ground import GroundPainter
from rein_seg.scenes.streets.ground_light import light_ground
from rein_seg.scenes.streets.items import Item
from rein_seg.scenes.streets.sky import draw_sky, draw_skyline
from rein_seg.scenes.streets.street import Street, draw_street
from rein_seg.scenes.vehicles.framing import frame
from rein_seg.scenes.vehicles.kinds import CLASSES, COLOURS, KINDS, make

GENERATOR_VERSION = 1
# part of the random numbers of a picture: no street of MiniScapes comes up again
_NAMESPACE = 'vehicles'


@dataclass(frozen=True)
class VehiclePicture:
    """A picture of a vehicle.

    Args:
        image: (H, W, 3) uint8, BGR.
        subtype: One of CLASSES.
        colour: One of COLOURS.
    """

    image: np.ndarray
    subtype: str
    colour: str


def contents(index: int) -> tuple[str, str]:
    """Returns subtype and colour of the vehicle in a picture: each pair once in 96 pictures.

    Args:
        index: Number of the picture in its split.

    Example:
        >>> from rein_seg.scenes.vehicles.generator import contents
        >>> contents(0), contents(17), contents(96)
        (('sedan', 'white'), ('hatchback', 'black'), ('sedan', 'white'))
    """
    turn, subtype = divmod(index, len(CLASSES))
    return CLASSES[subtype], COLOURS[turn % len(COLOURS)]


def render(
    domain: str, split: str, index: int, *, seed: int = 0, size: tuple[int, int] = (96, 72)
) -> VehiclePicture:
    """Renders a picture; the same arguments always give the same picture.

    The number alone says which vehicle a picture shows; see `contents`.

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
        >>> from rein_seg.scenes.vehicles import render
        >>> picture = render('night', 'val', 4)
        >>> picture.image.shape, picture.subtype, picture.colour
        ((72, 96, 3), 'van', 'white')
    """
    check_request(domain, split, domains=DOMAINS, seed=seed, size=size)
    # two sources of draws: details of the drawing cannot change the contents of a picture
    plan, drawing = generators(f'{_NAMESPACE} {domain}', split, index, seed=seed, number=2)
    place = domain_of(domain)
    street = draw_street(place.town, plan)
    air = Air.draw(place.look, plan)
    subtype, colour = contents(index)
    thing = make(KINDS[subtype], colour, street, plan)
    camera = frame(thing, size, plan)
    items = [*_surroundings(street, place, plan, behind=thing.shade.farthest), thing]
    canvas = Canvas(camera, air, rng=drawing)
    draw_sky(canvas)
    GroundPainter(canvas, street).paint()
    lamps = [(i.x + i.arm, i.z) for i in items if isinstance(i, Pole) and i.lamp]
    light_ground(canvas, street, items, lamps=np.reshape(np.float32(lamps), (-1, 2)))
    draw_skyline(canvas)
    # from far to near: near things hide far things
    for item in sorted(items, key=lambda item: -item.depth):
        item.draw(canvas)
    image, surfaces = canvas.finish()
    image = effects.weather(image, surfaces, air=air, rng=drawing)
    image = effects.expose(image, look=place.look, rng=drawing)
    return VehiclePicture(image, subtype, colour)


def _surroundings(
    street: Street, place: Domain, rng: np.random.Generator, *, behind: float
) -> list[Item]:
    """Draws houses, plants, poles and people; on the road, only behind the vehicle."""
    items = roadside.poles(street, rng)
    items += roadside.trees(street, place.town, rng)
    items += roadside.people(street, place, rng)
    free = [item for item in items if item.depth > behind]
    return frontage.line_street(street, place.town, rng) + free
