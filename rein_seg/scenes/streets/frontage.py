"""The sides of a street: rows of houses, yards, walls, fences and greenery."""

from __future__ import annotations

import numpy as np

from rein_seg.scenes.drawing.draws import between, distance, pick, side_of, weighted
from rein_seg.scenes.streets import labels
from rein_seg.scenes.streets.barriers import FENCE_STYLES, run_of_barrier
from rein_seg.scenes.streets.buildings import Building
from rein_seg.scenes.streets.domains import Town
from rein_seg.scenes.streets.items import Item
from rein_seg.scenes.streets.plants import Hedge, Plant
from rein_seg.scenes.streets.street import Street

# Weights of the parts of a side, by kind of street.
_PARTS = ('house', 'wall', 'fence', 'hedge', 'grove', 'open')
_WEIGHTS = {
    'inner': (0.9, 0.03, 0.03, 0.0, 0.02, 0.02),
    'boulevard': (0.72, 0.04, 0.05, 0.04, 0.1, 0.05),
    'suburb': (0.3, 0.12, 0.2, 0.18, 0.14, 0.06),
    'outskirts': (0.16, 0.12, 0.14, 0.08, 0.38, 0.12),
}
_STYLES = 2**31


def line_street(street: Street, town: Town, rng: np.random.Generator) -> list[Item]:
    """Lines both sides of a street; inserts walls and fences at the town's rates."""
    # rare classes must be in view in a known share of the scenes, so they are not left to chance
    forced: dict[int, list[tuple[float, str]]] = {-1: [], 1: []}
    for word, chance in (('wall', town.wall), ('fence', town.fence)):
        if rng.random() < chance:
            spot = distance(rng, 9.0, 26.0)
            forced[side_of(rng)].append((spot, word))
    items: list[Item] = []
    for side in (-1, 1):
        items += _side(street, town, rng, side=side, forced=sorted(forced[side]))
        if street.junction:
            items += _corner(street, town, rng, side)
    return items


def _side(
    street: Street,
    town: Town,
    rng: np.random.Generator,
    *,
    side: int,
    forced: list[tuple[float, str]],
) -> list[Item]:
    weights = _WEIGHTS[street.kind]
    items: list[Item] = []
    last = ('', 0.0)
    z = between(rng, 1.0, 6.0)
    while z < street.view:
        word = _PARTS[weighted(rng, weights)]
        length = between(rng, 9.0, 20.0)
        if forced and z + length > forced[0][0]:
            word, length = forced.pop(0)[1], between(rng, 12.0, 26.0)
        end = z + length
        if street.junction and z < street.junction[1] and end > street.junction[0] - 2.0:
            end = street.junction[0] - 2.3
            following = street.junction[1] + 2.3
        else:
            following = end
        if end - z > 3.0:
            joined = last == ('house', z)
            items += _part(street, town, rng, word=word, side=side, span=(z, end), joined=joined)
            last = (word, end)
        z = following + (between(rng, 0.5, 4.0) if street.yard[side > 0] > 1 else 0.0)
    return items


def _part(
    street: Street,
    town: Town,
    rng: np.random.Generator,
    *,
    word: str,
    side: int,
    span: tuple[float, float],
    joined: bool,
) -> list[Item]:
    edge = street.walk_span(side)[1]
    x = edge + side * 0.25
    if word == 'house':
        front = edge + side * street.yard[side > 0]
        return [_house(street, town, rng, side=side, front=front, span=span, joined=joined)]
    if word == 'hedge':
        return [
            Hedge(x, (float(a), float(b)), between(rng, 1.0, 2.0), int(rng.integers(_STYLES)))
            for a, b in _pieces(span, 7.0)
        ] + _behind(street, town, rng, side=side, span=span)
    if word in ('wall', 'fence'):
        label = labels.WALL if word == 'wall' else labels.FENCE
        style = FENCE_STYLES[weighted(rng, (0.34, 0.22, 0.26, 0.18))]
        height = between(rng, 1.3, 3.2) if word == 'wall' else between(rng, 1.1, 2.0)
        if word == 'fence' and style == 'rail':
            height = 0.85
        barrier = run_of_barrier(
            label, x, span, height=float(height), style=(style, int(rng.integers(60)))
        )
        return [*barrier, *_behind(street, town, rng, side=side, span=span)]
    dense = 0.22 if word == 'grove' else 0.06
    return _grove(rng, side=side, x=x, span=span, count=int(dense * (span[1] - span[0]) + 1.5))


def _pieces(span: tuple[float, float], length: float) -> list[tuple[float, float]]:
    edges = np.linspace(span[0], span[1], max(2, int((span[1] - span[0]) / length) + 2))
    return list(zip(edges[:-1], edges[1:], strict=True))


def _behind(
    street: Street, town: Town, rng: np.random.Generator, *, side: int, span: tuple[float, float]
) -> list[Item]:
    """Puts a house or trees behind a wall, fence or hedge."""
    x = street.walk_span(side)[1] + side * between(rng, 4.0, 9.0)
    if rng.random() < 0.6:
        near = span[0] + between(rng, 0.0, 0.3) * (span[1] - span[0])
        house = _house(street, town, rng, side=side, front=float(x), span=(float(near), span[1]))
        return [house, *_grove(rng, side=side, x=float(x) - side * 2.0, span=span, count=1)]
    return _grove(rng, side=side, x=float(x) - side * 2.0, span=span, count=3)


def _house(
    street: Street,
    town: Town,
    rng: np.random.Generator,
    *,
    side: int,
    front: float,
    span: tuple[float, float],
    joined: bool = False,
) -> Building:
    low, high = town.storeys
    inner = street.kind in ('inner', 'boulevard')
    storeys = pick(rng, range(low, high + 1) if inner else range(1, max(low, 3) + 1))
    return Building(
        side=side,
        front=float(front),
        start=span[0],
        length=span[1] - span[0],
        deep=between(rng, 9.0, 14.0),
        storeys=storeys,
        style=int(rng.integers(_STYLES)),
        shops=bool(inner and rng.random() < 0.4),
        pitched=bool(rng.random() < (0.3 if inner else 0.8)),
        joined=joined,
    )


def _grove(
    rng: np.random.Generator, *, side: int, x: float, span: tuple[float, float], count: int
) -> list[Item]:
    plants: list[Item] = []
    for _ in range(count):
        z = between(rng, *span)
        away = side * between(rng, 1.0, 8.0)
        if rng.random() < 0.4:
            half = between(rng, 0.6, 1.5)
            plants.append(
                Plant(x + away, z, 0.0, (half, 0.7 * half), style=int(rng.integers(_STYLES)))
            )
        else:
            plants.append(make_tree(rng, x=x + away * 1.2, z=z))
    return plants


def make_tree(rng: np.random.Generator, *, x: float, z: float, small: bool = False) -> Plant:
    """Makes a tree; small trees suit a row along a kerb."""
    size = between(rng, 1.3, 2.4) if small else between(rng, 1.6, 3.6)
    conifer = bool(not small and rng.random() < 0.18)
    trunk = 0.5 if conifer else between(rng, 2.0, 3.2)
    crown = (0.75 * size, 1.6 * size) if conifer else (size, size * between(rng, 0.85, 1.3))
    return Plant(x, z, trunk, crown, conifer, int(rng.integers(_STYLES)))


def _corner(street: Street, town: Town, rng: np.random.Generator, side: int) -> list[Item]:
    """Lines the far side of the crossing street, as seen from the junction."""
    items: list[Item] = []
    z = street.junction[1] + 2.6
    x = street.walk_span(side)[1] + side * (street.yard[side > 0] + 14.0)
    for _ in range(3):
        wide = between(rng, 9.0, 14.0)
        if street.kind in ('inner', 'boulevard') or rng.random() < 0.5:
            house = _house(street, town, rng, side=side, front=x, span=(z, z + 10.0))
            items.append(house)
        else:
            items.append(make_tree(rng, x=x + side * 3.0, z=z + 3.0))
        x += side * wide
    return items
