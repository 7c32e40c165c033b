"""The road: driving, crossing and parked vehicles, trams on rails, two-wheelers."""

from __future__ import annotations

import math

import numpy as np

from rein_seg.scenes.drawing.draws import between, distance, pick, side_of, weighted
from rein_seg.scenes.streets import labels
from rein_seg.scenes.streets.cycles import make_cycle
from rein_seg.scenes.streets.domains import Town
from rein_seg.scenes.streets.items import Item
from rein_seg.scenes.streets.mesh import Pose
from rein_seg.scenes.streets.street import PARKING, Street
from rein_seg.scenes.streets.vehicles import Vehicle, make_bus, make_car, make_tram, make_truck

_MAKERS = {labels.CAR: make_car, labels.TRUCK: make_truck, labels.BUS: make_bus}
_LENGTHS = {
    labels.CAR: 4.6,
    labels.TRUCK: 9.0,
    labels.BUS: 12.5,
    labels.TRAIN: 28.0,
    labels.MOTORCYCLE: 2.2,
    labels.BICYCLE: 1.9,
}
_CLOSEST = 2.6


class Traffic:
    """Fills a street with vehicles that do not overlap.

    Args:
        street: Street to fill.
        town: Amounts of traffic.
        ego: Lane index of the camera's car on the right side.
        rng: Source of randomness.
    """

    def __init__(self, street: Street, town: Town, *, ego: int, rng: np.random.Generator):
        self._street, self._town, self._ego, self._rng = street, town, ego, rng
        self._taken: dict[object, list[tuple[float, float]]] = {}
        self.items: list[Item] = []

    def fill(self) -> list[Item]:
        """Places rare vehicles first, then the flow, then parked cars."""
        town, rng = self._town, self._rng
        # rare classes get their places before the flow of cars takes them
        if self._street.rails:
            self._trams()
        for label, chance in ((labels.BUS, town.bus), (labels.TRUCK, town.truck)):
            if rng.random() < chance:
                self._feature(label, nearest=13.0, farthest=42.0)
        if rng.random() < town.motorcycle:
            self._feature(labels.MOTORCYCLE, nearest=6.5, farthest=20.0)
        if rng.random() < town.bicycle:
            self._cyclist(distance(rng, 6.0, 20.0))
        for _ in range(rng.poisson(0.5 * town.cycles)):
            self._cyclist(between(rng, 9.0, 45.0))
        self._flow()
        if self._street.junction:
            self._crossing()
        for side in (-1, 1):
            if self._street.parking[side > 0]:
                self._park(side)
        return self.items

    def _claim(self, lane: object, z: float, length: float) -> bool:
        """Takes a place in a lane unless it is taken."""
        near, far = z - length / 2 - 1.2, z + length / 2 + 1.2  # with a gap of 1.2 m
        spans = self._taken.setdefault(lane, [])
        if near < _CLOSEST or any(near < b and far > a for a, b in spans):
            return False
        spans.append((near, far))
        return True

    def _lanes(self) -> list[tuple[int, int]]:
        street = self._street
        return [(side, i) for side in (-1, 1) for i in range(street.lane_count(side))]

    def _drive(self, label: int, lane: tuple[int, int], z: float) -> bool:
        """Puts a vehicle into a lane at z if there is room."""
        length = _LENGTHS[label]
        # a vehicle right ahead of the camera would hide the street
        if lane == (1, self._ego) and z - length / 2 < 6.0:
            return False
        if not self._claim(lane, z, length):
            return False
        x = self._street.lane_x(*lane) + self._rng.normal(0.0, 0.15)
        heading = (0.0 if lane[0] > 0 else math.pi) + self._rng.normal(0.0, 0.02)
        pose = Pose(float(x), z, float(heading))
        if label in (labels.MOTORCYCLE, labels.BICYCLE):
            self.items.append(make_cycle(self._rng, pose, label=label, ridden=True))
        else:
            self.items.append(_MAKERS[label](self._rng, pose))
        return True

    def _feature(self, label: int, *, nearest: float, farthest: float) -> None:
        lanes = self._lanes()
        for _ in range(8):
            lane = pick(self._rng, lanes)
            if self._drive(label, lane, distance(self._rng, nearest, farthest)):
                return

    def _flow(self) -> None:
        rates = (0.9, 0.045, 0.03, 0.025)
        kinds = (labels.CAR, labels.TRUCK, labels.BUS, labels.MOTORCYCLE)
        for lane in self._lanes():
            z = between(self._rng, 7.0, 20.0)
            while z < self._street.view:
                self._drive(kinds[weighted(self._rng, rates)], lane, z)
                z += 6.5 + float(self._rng.exponential(100.0 / self._town.traffic))

    def _cyclist(self, z: float) -> None:
        side = side_of(self._rng, 0.65)
        if self._street.lane_count(side) == 0:
            side = 1
        edge = self._street.kerb(side)
        inset = PARKING + 0.6 if self._street.parking[side > 0] else 0.7
        if not self._claim((side, 'edge'), z, 2.2):
            return
        heading = (0.0 if side > 0 else math.pi) + self._rng.normal(0.0, 0.08)
        pose = Pose(edge - side * inset, z, float(heading))
        self.items.append(make_cycle(self._rng, pose, label=labels.BICYCLE, ridden=True))
        # A car beside the cyclist would drive through the handlebar in a narrow lane.
        self._taken.setdefault((side, self._street.lane_count(side) - 1), []).append((z - 2, z + 2))

    def _trams(self) -> None:
        for side in (-1, 1):
            if self._rng.random() < 0.75:
                z = between(self._rng, 19.0, 55.0)
                heading = 0.0 if side > 0 else math.pi
                pose = Pose(self._street.track_x(side), z, heading)
                self.items.append(make_tram(self._rng, pose))
                half = _LENGTHS[labels.TRAIN] / 2
                self._taken.setdefault('track', []).append((z - half, z + half))

    def _crossing(self) -> None:
        near, far = self._street.junction
        quarter = (far - near) / 4
        for z, heading in ((near + quarter, math.pi / 2), (far - quarter, -math.pi / 2)):
            if self._rng.random() < 0.45 and self._free_for_crossing(z):
                self._cross(z, heading)

    def _free_for_crossing(self, z: float) -> bool:
        return not any(
            near < z + 2.0 and far > z - 2.0
            for spans in self._taken.values()
            for near, far in spans
        )

    def _cross(self, z: float, heading: float) -> None:
        kinds = (labels.CAR, labels.TRUCK, labels.BUS, labels.MOTORCYCLE, labels.BICYCLE)
        label = kinds[weighted(self._rng, (0.55, 0.12, 0.1, 0.12, 0.11))]
        pose = Pose(between(self._rng, -11.0, 11.0), z, heading)
        if label in (labels.MOTORCYCLE, labels.BICYCLE):
            self.items.append(make_cycle(self._rng, pose, label=label, ridden=True))
        else:
            self.items.append(_MAKERS[label](self._rng, pose))
        self._taken.setdefault('crossing', []).append((z - 2.5, z + 2.5))

    def _park(self, side: int) -> None:
        x = self._street.kerb(side) - side * PARKING / 2
        z = between(self._rng, 4.0, 9.0)
        while z < self._street.view:
            step = between(self._rng, 5.4, 6.6)
            if self._rng.random() < self._town.parked and self._may_park(z):
                self.items.append(self._parked(side, x, z))
            z += step  # an empty place, too, is as long as a car

    def _may_park(self, z: float) -> bool:
        zebra = self._street.zebra
        if zebra is not None and abs(z - zebra - 1.5) < 5.5:
            return False
        return z - 2.3 > _CLOSEST and self._street.clear_of_junction(z - 2.5, z + 2.5, margin=4.0)

    def _parked(self, side: int, x: float, z: float) -> Vehicle:
        turned = self._rng.random() < 0.15
        heading = (0.0 if (side > 0) != turned else math.pi) + self._rng.normal(0.0, 0.025)
        pose = Pose(float(x + self._rng.normal(0.0, 0.08)), z, float(heading))
        return make_car(self._rng, pose, driving=False)
