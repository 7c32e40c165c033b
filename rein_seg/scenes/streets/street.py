"""The cross-section of a street and the places of its parts, in metres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rein_seg.scenes.drawing.draws import between, weighted
from rein_seg.scenes.streets.domains import Town
from rein_seg.scenes.streets.looks import Range

KINDS = ('inner', 'boulevard', 'suburb', 'outskirts')
PARKING = 2.1  # width of a parking lane
_TRACK = 1.65  # from the street's middle to the middle of a tram's rails


@dataclass(frozen=True)
class Street:
    """A straight street along z; the camera bends it.

    Pairs hold the left and the right side. Sides are -1 (left) and 1 (right).

    Args:
        kind: One of KINDS.
        middle: Width of the strip between the directions; 0 for none.
        grassy: Whether that strip is terrain instead of road.
        rails: Whether tram rails lie in that strip.
        lane: Width of a lane.
        lanes: Lanes of each side; left ones come towards the camera.
        parking: Whether a side has a parking lane.
        verge: Width of the grass between kerb and sidewalk.
        walk: Width of the sidewalk.
        yard: Distance from the sidewalk to the houses.
        junction: Near and far edge of a crossing street, or None.
        zebra: Distance of a zebra crossing, or None.
        view: Largest distance of things.
    """

    kind: str
    middle: float
    grassy: bool
    rails: bool
    lane: float
    lanes: tuple[int, int]
    parking: tuple[bool, bool]
    verge: tuple[float, float]
    walk: tuple[float, float]
    yard: tuple[float, float]
    junction: tuple[float, float] | None
    zebra: float | None
    view: float

    def lane_x(self, side: int, index: int) -> float:
        """Returns the middle of a lane, counted from the street's middle."""
        return side * (self.middle / 2 + self.lane * (index + 0.5))

    def lane_count(self, side: int) -> int:
        """Returns the number of lanes of a side."""
        return self.lanes[side > 0]

    def kerb(self, side: int) -> float:
        """Returns x of the road's edge."""
        width = self.lane * self.lanes[side > 0] + PARKING * self.parking[side > 0]
        return side * (self.middle / 2 + width)

    def walk_span(self, side: int) -> tuple[float, float]:
        """Returns x of the sidewalk's inner and outer edge."""
        inner = self.kerb(side) + side * self.verge[side > 0]
        return inner, inner + side * self.walk[side > 0]

    def track_x(self, side: int) -> float:
        """Returns the middle of the rails of a direction."""
        return side * _TRACK

    def clear_of_junction(self, near: float, far: float, *, margin: float = 1.0) -> bool:
        """Tells whether a span of z stays off the crossing street."""
        if self.junction is None:
            return True
        return far < self.junction[0] - margin or near > self.junction[1] + margin


def draw_street(town: Town, rng: np.random.Generator) -> Street:
    """Draws a street from a domain's statistics."""
    kind = KINDS[weighted(rng, town.streets)]
    rails = bool(rng.random() < town.train * (0.6 if kind in ('suburb', 'outskirts') else 1.2))
    one_way = kind == 'inner' and not rails and rng.random() < 0.25
    count = 2 if kind == 'boulevard' or (kind == 'outskirts' and rng.random() < 0.4) else 1
    lanes = (0, count) if one_way else (count, count)
    middle = 6.6 if rails else 0.0
    if kind == 'boulevard' and not rails and rng.random() < 0.6:
        middle = between(rng, 1.6, 4.5)
    parks = {'inner': 0.8, 'boulevard': 0.5, 'suburb': 0.4, 'outskirts': 0.05}[kind]
    junction = _junction(rng, 0.4 if kind != 'outskirts' else 0.15)
    zebra = None
    if rng.random() < 0.3:
        zebra = junction[0] - 3.6 if junction else between(rng, 11.0, 35.0)
    return Street(
        kind=kind,
        middle=float(middle),
        grassy=bool(middle and (not rails or rng.random() < 0.35)),
        rails=rails,
        lane=_within(rng, town.lane),
        lanes=lanes,
        parking=(bool(rng.random() < parks), bool(rng.random() < parks)),
        verge=(_verge(kind, rng), _verge(kind, rng)),
        walk=(_walk(kind, town.walk, rng), _walk(kind, town.walk, rng)),
        yard=(_yard(kind, rng), _yard(kind, rng)),
        junction=junction,
        zebra=zebra,
        view=town.view,
    )


def _within(rng: np.random.Generator, span: Range) -> float:
    return between(rng, span[0], span[1])


def _junction(rng: np.random.Generator, chance: float) -> tuple[float, float] | None:
    if rng.random() >= chance:
        return None
    near = between(rng, 13.0, 45.0)
    return near, near + between(rng, 6.5, 11.0)


def _verge(kind: str, rng: np.random.Generator) -> float:
    chance = {'inner': 0.1, 'boulevard': 0.6, 'suburb': 0.5, 'outskirts': 0.85}[kind]
    return between(rng, 1.0, 3.2) if rng.random() < chance else 0.0


def _walk(kind: str, span: Range, rng: np.random.Generator) -> float:
    width = _within(rng, span)
    return width * 0.75 if kind in ('suburb', 'outskirts') else width


def _yard(kind: str, rng: np.random.Generator) -> float:
    spans = {
        'inner': (0.0, 0.0),
        'boulevard': (0.0, 2.0),
        'suburb': (3.0, 8.0),
        'outskirts': (4.0, 14.0),
    }
    return _within(rng, spans[kind])
