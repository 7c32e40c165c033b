"""The sidewalks: people, poles, trees and parked two-wheelers."""

from __future__ import annotations

import math

import numpy as np

from rein_seg.scenes.drawing.draws import between, distance, pick, side_of, weighted
from rein_seg.scenes.streets import labels
from rein_seg.scenes.streets.cycles import make_cycle
from rein_seg.scenes.streets.domains import Domain, Town
from rein_seg.scenes.streets.figures import make_person
from rein_seg.scenes.streets.frontage import make_tree
from rein_seg.scenes.streets.furniture import Pole, Signal, make_sign
from rein_seg.scenes.streets.items import Item
from rein_seg.scenes.streets.mesh import Pose
from rein_seg.scenes.streets.street import Street

_CLOSEST = 4.0  # metres; nearer people would hide the street


def people(street: Street, domain: Domain, rng: np.random.Generator) -> list[Item]:
    """Puts people on the sidewalks, in small groups, and some on the zebra crossing."""
    items: list[Item] = []
    rain = domain.look.wet[1] > 0.4  # by look, not by name: random looks have umbrellas, too
    left = int(rng.poisson(domain.town.people * _liveliness(street)))
    while left > 0:
        group = min(left, 1 + weighted(rng, (0.6, 0.3, 0.1)))
        left -= group
        side = side_of(rng)
        z = distance(rng, 6.0, 48.0)
        heading = pick(rng, (0.0, math.pi)) + float(rng.normal(0.0, 0.3))
        inner, outer = (abs(x) for x in street.walk_span(side))
        middle = between(rng, inner + 0.5, max(outer - 0.4, inner + 0.6))
        for member in range(group):
            x = min(middle + 0.6 * member, max(outer - 0.2, inner + 0.5))
            pose = Pose(side * x, z + float(rng.normal(0.0, 0.4)), heading)
            items.append(make_person(rng, pose, umbrella=rain and rng.random() < 0.45))
    if street.zebra and rng.random() < 0.6:
        items += _on_zebra(street, rng)
    return [item for item in items if item.depth > _CLOSEST]


def _liveliness(street: Street) -> float:
    return {'inner': 1.3, 'boulevard': 1.1, 'suburb': 0.6, 'outskirts': 0.4}[street.kind]


def _on_zebra(street: Street, rng: np.random.Generator) -> list[Item]:
    items: list[Item] = []
    for _ in range(int(rng.integers(1, 5))):
        x = between(rng, street.kerb(-1), street.kerb(1))
        z = street.zebra + between(rng, 0.4, 2.6)
        heading = side_of(rng) * math.pi / 2
        items.append(make_person(rng, Pose(x, z, heading)))
    return items


def parked_cycles(street: Street, town: Town, rng: np.random.Generator) -> list[Item]:
    """Parks bicycles and motorcycles on the sidewalks, in racks or alone."""
    items: list[Item] = []
    for _ in range(int(rng.poisson(0.45 * town.cycles))):
        side = side_of(rng)
        inner, outer = (abs(x) for x in street.walk_span(side))
        label = labels.BICYCLE if rng.random() < 0.65 else labels.MOTORCYCLE
        z = distance(rng, 7.0, 28.0)
        heading = pick(rng, (0.0, math.pi / 2, math.pi, 1.2)) + float(rng.normal(0.0, 0.15))
        x = side * (inner + 0.9 if rng.random() < 0.6 else outer - 0.6)
        for bike in range(int(rng.integers(1, 5)) if label == labels.BICYCLE else 1):
            if street.clear_of_junction(z - 2, z + 2 + bike):
                pose = Pose(float(x), z + 0.65 * bike, heading + float(rng.normal(0.0, 0.05)))
                items.append(make_cycle(rng, pose, label=label, ridden=False))
    return items


def poles(street: Street, rng: np.random.Generator) -> list[Item]:
    """Puts up street lamps, signs, traffic lights and bollards along the kerbs."""
    items: list[Item] = []
    tall, reach = between(rng, 5.5, 8.5), between(rng, 0.9, 2.4)
    for side in (-1, 1):
        x = street.kerb(side) + side * 0.5
        z = between(rng, 7.0, 24.0)
        while z < street.view:
            signs = (make_sign(rng, between(rng, 2.2, 3.0)),) if rng.random() < 0.25 else ()
            pole = Pole(x, z, tall, 0.16, -side * reach, True, signs)
            if street.clear_of_junction(z, z):
                items.append(pole)
            z += between(rng, 20.0, 30.0)
    items += _sign_posts(street, rng)
    if street.junction or street.zebra:
        items += _signals(street, rng)
    if street.kind == 'inner' and rng.random() < 0.25:
        items += _bollards(street, rng)
    return items


def _sign_posts(street: Street, rng: np.random.Generator) -> list[Item]:
    items: list[Item] = []
    for _ in range(int(rng.poisson(1.6)) + 1):
        side = side_of(rng, 0.65)
        z = distance(rng, 8.0, 45.0)
        height = between(rng, 2.3, 3.0)
        signs = [make_sign(rng, height)]
        if rng.random() < 0.3:
            signs.append(make_sign(rng, height - 0.85))
        if street.clear_of_junction(z, z):
            x = street.kerb(side) + side * between(rng, 0.4, 0.7)
            items.append(Pole(x, z, height + 0.4, 0.09, signs=tuple(signs)))
    return items


def _signals(street: Street, rng: np.random.Generator) -> list[Item]:
    """Puts traffic lights before the junction or crossing, some on an arm over the road."""
    if rng.random() < 0.2:
        return []
    lit = int(rng.integers(3))
    near = (street.junction[0] if street.junction else street.zebra) - 1.0
    items: list[Item] = []
    for side in (-1, 1):
        x = street.kerb(side) + side * 0.45
        signals = [Signal(lit, -side * 0.28, 2.7)]
        arm = 0.0
        if side > 0 and rng.random() < 0.5:
            arm = -between(rng, 2.5, 4.5)
            signals.append(Signal(lit, arm, 5.1))
        height = 5.6 if arm else 3.4
        items.append(Pole(x, near, height, 0.15, arm, signals=tuple(signals)))
    if street.junction:
        # Those on the far side of the junction repeat the light or serve the other direction.
        far = street.junction[1] + 1.2
        for side in (-1, 1):
            signal = Signal(lit, -side * 0.25, 2.8, back=side < 0)
            items.append(Pole(street.kerb(side) + side * 0.5, far, 3.5, 0.15, signals=(signal,)))
    return items


def _bollards(street: Street, rng: np.random.Generator) -> list[Item]:
    side = side_of(rng)
    start = between(rng, 7.0, 20.0)
    x = street.kerb(side) + side * 0.35
    spots = start + 1.6 * np.arange(int(rng.integers(4, 9)))
    return [
        Pole(x, float(z), 0.95, 0.13, colour=(70, 70, 72))
        for z in spots
        if street.clear_of_junction(float(z), float(z))
    ]


def trees(street: Street, town: Town, rng: np.random.Generator) -> list[Item]:
    """Plants rows of trees beside the kerb and on a green middle strip."""
    items: list[Item] = []
    for side in (-1, 1):
        verge = street.verge[side > 0]
        chance = 0.85 if verge else 0.4
        if rng.random() < chance:
            inset = verge / 2 if verge else 0.9
            items += _row(street, town, rng, street.kerb(side) + side * inset)
    if street.grassy and not street.rails and rng.random() < 0.6:
        items += _row(street, town, rng, 0.0)
    return items


def _row(street: Street, town: Town, rng: np.random.Generator, x: float) -> list[Item]:
    gap = 100.0 / max(town.trees, 0.5)
    z = between(rng, 7.0, 7.0 + gap)
    items: list[Item] = []
    while z < street.view:
        if street.clear_of_junction(z - 2, z + 2):
            items.append(make_tree(rng, x=float(x), z=z, small=True))
        z += gap * between(rng, 0.6, 1.4)
    return items
