"""Renders a scene of MiniScapes from (seed, domain, split, index, size)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rein_seg.scenes.drawing.request import check_request, generators
from rein_seg.scenes.streets import effects, frontage, roadside
from rein_seg.scenes.streets.air import Air
from rein_seg.scenes.streets.camera import Camera
from rein_seg.scenes.streets.canvas import SUPERSAMPLE, Canvas
from rein_seg.scenes.streets.domains import DOMAINS, Domain, Town, domain_of
from rein_seg.scenes.streets.furniture import Pole
from rein_seg.scenes.streets.ground import GroundPainter
from rein_seg.scenes.streets.ground_light import light_ground
from rein_seg.scenes.streets.items import Item
from rein_seg.scenes.streets.sky import draw_sky, draw_skyline
from rein_seg.scenes.streets.street import Street, draw_street
from rein_seg.scenes.streets.traffic import Traffic

GENERATOR_VERSION = 1


@dataclass(frozen=True)
class Scene:
    """A picture and its labels.

    Args:
        image: (H, W, 3) uint8, BGR.
        label: (H, W) uint8, Cityscapes train ids, 255 where ignored.
    """

    image: np.ndarray
    label: np.ndarray


def render(
    domain: str, split: str, index: int, *, seed: int = 0, size: tuple[int, int] = (256, 128)
) -> Scene:
    """Renders a scene; the same arguments always give the same scene.

    Args:
        domain: One of DOMAINS.
        split: One of SPLITS; no two splits share a scene.
        index: Number of the scene in its split, >= 0.
        seed: Seed of the whole data set, >= 0.
        size: (width, height) in pixels. The street does not depend on it.

    Raises:
        ValueError: If domain or split is unknown, index or seed is negative, or a side of size is
            not a whole number from SMALLEST to LARGEST.

    Example:
        >>> from rein_seg.scenes.streets import render
        >>> scene = render('night', 'val', 0, size=(64, 32))
        >>> scene.image.shape, scene.label.shape
        ((32, 64, 3), (32, 64))
    """
    check_request(domain, split, domains=DOMAINS, seed=seed, size=size)
    # two sources of draws: details of the drawing cannot change the contents of a scene
    plan, drawing = generators(domain, split, index, seed=seed, number=2)
    place = domain_of(domain)
    street = draw_street(place.town, plan)
    air = Air.draw(place.look, plan)
    ego = int(plan.integers(street.lane_count(1)))
    camera = draw_camera(street, place.town, plan, ego=ego, size=size)
    hood = plan.random() < place.town.hood
    items = draw_items(street, place, plan, ego=ego)
    canvas = Canvas(camera, air, rng=drawing)
    _paint(canvas, street, items)
    return _develop(canvas, hood=hood)


def draw_camera(
    street: Street, town: Town, rng: np.random.Generator, *, ego: int, size: tuple[int, int]
) -> Camera:
    """Draws the place and direction of the camera, for a canvas of a (width, height) picture."""
    width, height = (int(side) * SUPERSAMPLE for side in size)
    mean = (width * height) ** 0.5
    focal, eye, pitch = (rng.uniform(*span) for span in (town.focal, town.eye, town.pitch))
    bend = rng.normal(0.0, 0.0006) if rng.random() < 0.6 else 0.0
    return Camera(
        width=width,
        height=height,
        focal=float(focal * mean),
        x=float(street.lane_x(1, ego) + rng.normal(0.0, 0.3)),
        eye=float(eye),
        centre=float(width * (0.5 + rng.normal(0.0, 0.05))),
        horizon=float(height * pitch),
        roll=float(rng.normal(0.0, 0.008)),
        bend=float(np.clip(bend, -0.0015, 0.0015)),
    )


def draw_items(street: Street, place: Domain, rng: np.random.Generator, *, ego: int) -> list[Item]:
    """Draws everything that stands in a street."""
    items = frontage.line_street(street, place.town, rng)
    items += Traffic(street, place.town, ego=ego, rng=rng).fill()
    items += roadside.poles(street, rng)
    items += roadside.trees(street, place.town, rng)
    items += roadside.people(street, place, rng)
    items += roadside.parked_cycles(street, place.town, rng)
    return items


def _paint(canvas: Canvas, street: Street, items: list[Item]) -> None:
    draw_sky(canvas)
    GroundPainter(canvas, street).paint()
    lamps = [(i.x + i.arm, i.z) for i in items if isinstance(i, Pole) and i.lamp]
    light_ground(canvas, street, items, lamps=np.reshape(np.float32(lamps), (-1, 2)))
    draw_skyline(canvas)
    # from far to near: near things hide far things
    for item in sorted(items, key=lambda item: -item.depth):
        item.draw(canvas)


def _develop(canvas: Canvas, *, hood: bool) -> Scene:
    air, rng = canvas.air, canvas.rng
    image, label = canvas.finish()
    image = effects.weather(image, label, air=air, rng=rng)
    label = effects.ignore_borders(label, rng=rng)
    if hood:
        image, label = effects.own_hood(image, label, rng=rng)
    return Scene(effects.expose(image, look=air.look, rng=rng), label)
