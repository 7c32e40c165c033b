"""The domains: the look of each (`looks.Look`) and the contents of its streets (`Town`).

A pair (low, high) is a range that a scene draws from uniformly.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rein_seg.scenes.streets import looks
from rein_seg.scenes.streets.looks import Look, Range


@dataclass(frozen=True)
class Town:
    """Scene statistics of a domain: streets, buildings, plants, traffic, people and camera.

    Args:
        streets: Weight of each kind of street: inner, boulevard, suburb, outskirts.
        storeys: Storeys of a building.
        lane: Width of a lane in metres.
        walk: Width of a sidewalk in metres.
        traffic: Vehicles on 100 m of a lane.
        parked: Share of the kerb with parked cars.
        trees: Trees on 100 m of a side.
        people: Mean number of people on foot.
        cycles: Mean number of bicycles and motorcycles, ridden or parked.
        truck, bus, train: Chance that a scene has one in view.
        motorcycle, bicycle: Chance that a scene has one nearby.
        wall, fence: Chance that a scene has one in view.
        view: Distance in metres up to which things are placed.
        eye: Camera height in metres.
        pitch: Row of the horizon as a share of the height.
        focal: Focal length as a share of the geometric mean of width and height.
        hood: Chance that the own car's hood shows at the bottom.
    """

    streets: tuple[float, float, float, float] = (0.4, 0.25, 0.25, 0.1)
    storeys: tuple[int, int] = (2, 6)
    lane: Range = (3.0, 3.6)
    walk: Range = (2.2, 4.8)
    traffic: float = 2.2
    parked: float = 0.45
    trees: float = 6.0
    people: float = 6.0
    cycles: float = 2.2
    truck: float = 0.28
    bus: float = 0.24
    train: float = 0.22
    motorcycle: float = 0.32
    bicycle: float = 0.35
    wall: float = 0.35
    fence: float = 0.4
    view: float = 110.0
    eye: Range = (1.25, 1.6)
    pitch: Range = (0.38, 0.48)
    focal: Range = (1.3, 1.6)
    hood: float = 0.1


@dataclass(frozen=True)
class Domain:
    """A named pair of look and town."""

    name: str
    look: Look
    town: Town = field(default_factory=Town)


# targets differ from the source in the contents of their streets, too, not in their look alone
_TABLE = {
    'clear': Domain('clear', looks.CLEAR),
    'overcast': Domain(
        'overcast',
        looks.OVERCAST,
        Town(
            streets=(0.55, 0.2, 0.2, 0.05),
            storeys=(3, 6),
            lane=(2.7, 3.3),
            walk=(1.6, 3.6),
            traffic=2.8,
            parked=0.6,
            trees=5.0,
            people=8.0,
            cycles=2.5,
            truck=0.2,
            eye=(1.15, 1.45),
        ),
    ),
    'night': Domain(
        'night',
        looks.NIGHT,
        Town(
            streets=(0.5, 0.35, 0.1, 0.05),
            storeys=(4, 9),
            traffic=2.6,
            parked=0.5,
            trees=2.5,
            people=4.0,
            cycles=1.0,
            truck=0.15,
            bus=0.25,
            view=90.0,
            eye=(1.2, 1.7),
        ),
    ),
    'fog': Domain(
        'fog',
        looks.FOG,
        Town(
            streets=(0.15, 0.2, 0.4, 0.25),
            storeys=(1, 4),
            lane=(3.1, 3.8),
            traffic=1.6,
            parked=0.25,
            trees=7.0,
            people=3.5,
            cycles=1.0,
            truck=0.32,
            bus=0.18,
            view=80.0,
            eye=(1.3, 1.9),
        ),
    ),
    'rain': Domain(
        'rain',
        looks.RAIN,
        Town(
            streets=(0.35, 0.4, 0.15, 0.1),
            storeys=(3, 8),
            walk=(2.5, 5.0),
            traffic=3.4,
            parked=0.4,
            trees=3.5,
            people=4.5,
            cycles=0.9,
            truck=0.24,
            bus=0.34,
            train=0.28,
            view=95.0,
            eye=(1.2, 1.5),
        ),
    ),
    'snow': Domain(
        'snow',
        looks.SNOW,
        Town(
            streets=(0.3, 0.15, 0.45, 0.1),
            storeys=(1, 5),
            lane=(2.8, 3.4),
            traffic=1.7,
            parked=0.55,
            trees=5.5,
            people=4.0,
            cycles=1.0,
            train=0.26,
            motorcycle=0.25,
            view=90.0,
            eye=(1.2, 1.6),
        ),
    ),
}

DOMAINS = tuple(_TABLE)


def domain_of(name: str) -> Domain:
    """Returns the domain of a known name."""
    return _TABLE[name]
