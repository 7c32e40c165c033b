"""The subtypes and colours of vehicles: their names, and how each is made."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from rein_seg.scenes.drawing.draws import between, side_of
from rein_seg.scenes.streets import labels, vehicles
from rein_seg.scenes.streets.cycles import Cycle, make_cycle
from rein_seg.scenes.streets.looks import Colour
from rein_seg.scenes.streets.mesh import Pose
from rein_seg.scenes.streets.street import Street

_MAKERS = {
    labels.CAR: vehicles.make_car,
    labels.TRUCK: vehicles.make_truck,
    labels.BUS: vehicles.make_bus,
}
_TURN = (0.3, 1.1)  # radians off the view's axis: fronts at an angle, as cars are photographed
_CYCLES = (labels.MOTORCYCLE, labels.BICYCLE)


@dataclass(frozen=True)
class Kind:
    """A subtype.

    Args:
        label: Train id of its class among the things of a street.
        style: Style of its model, 'ridden' or 'parked' for two-wheelers.
        length: Length in metres.
    """

    label: int
    style: str
    length: float


# by the first of the words that the captions of the pretrained text tower have for them
KINDS: dict[str, Kind] = {
    'sedan': Kind(labels.CAR, 'sedan', 4.4),
    'hatchback': Kind(labels.CAR, 'hatch', 3.9),
    'estate car': Kind(labels.CAR, 'estate', 4.6),
    'suv': Kind(labels.CAR, 'suv', 4.5),
    'van': Kind(labels.CAR, 'van', 5.0),
    'box truck': Kind(labels.TRUCK, 'box', 8.2),
    'tipper': Kind(labels.TRUCK, 'tipper', 7.7),
    'semi truck': Kind(labels.TRUCK, 'semi', 14.0),
    'city bus': Kind(labels.BUS, 'city', 12.0),
    'coach': Kind(labels.BUS, 'coach', 12.0),
    'double decker': Kind(labels.BUS, 'double', 12.0),
    'tram': Kind(labels.TRAIN, '', 27.0),
    'parked motorcycle': Kind(labels.MOTORCYCLE, 'parked', 2.1),
    'motorcyclist': Kind(labels.MOTORCYCLE, 'ridden', 2.1),
    'parked bicycle': Kind(labels.BICYCLE, 'parked', 1.8),
    'cyclist': Kind(labels.BICYCLE, 'ridden', 1.8),
}
CLASSES = tuple(KINDS)
# BGR, far enough from each other to keep their names when the brightness changes
PAINTS: dict[str, Colour] = {
    'white': (232, 232, 232),
    'black': (38, 36, 36),
    'red': (40, 36, 180),
    'yellow': (50, 205, 220),
    'green': (62, 124, 50),
    'blue': (160, 76, 36),
}
COLOURS = tuple(PAINTS)


def make(
    kind: Kind, colour: str, street: Street, rng: np.random.Generator
) -> vehicles.Vehicle | Cycle:
    """Makes a vehicle of a subtype and colour, in a random place of a street, at an angle.

    The colour is the paint of bodywork, cab and cargo; stripes, clothes of riders and the exact
    brightness are random.
    """
    thing = _make(kind, street, rng)
    light = between(rng, 0.88, 1.1)
    blue, green, red = (light * channel for channel in PAINTS[colour])
    paint = (blue, green, red)
    if isinstance(thing, Cycle):
        return replace(thing, paint=paint)
    return replace(thing, paint={**thing.paint, 'body': paint, 'roof': paint, 'cargo': paint})


def _make(kind: Kind, street: Street, rng: np.random.Generator) -> vehicles.Vehicle | Cycle:
    reach = min(-street.kerb(-1), street.kerb(1)) + 1.0
    # long vehicles cannot stand across the street: their ends would be in the houses
    turn = min(_TURN[1], math.asin(min(1.0, 2 * reach / kind.length)))
    heading = math.pi + side_of(rng) * between(rng, min(_TURN[0], turn / 2), turn)
    span = max(0.0, reach - 1.0 - max(1.3, 0.5 * kind.length * abs(math.sin(heading))))
    z = kind.length / 2 + between(rng, 4.0, 14.0)
    pose = Pose(between(rng, -span, span), z, heading)
    if kind.label in _CYCLES:
        return make_cycle(rng, pose, label=kind.label, ridden=kind.style == 'ridden')
    if kind.label == labels.TRAIN:
        return vehicles.make_tram(rng, pose)
    return _MAKERS[kind.label](rng, pose, style=kind.style)
