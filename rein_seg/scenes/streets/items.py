"""Things in a street: each has a depth and a shadow, and draws itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rein_seg.scenes.streets.canvas import Canvas

CORNERS = 8
_CIRCLE = tuple(
    (math.cos(i * 2 * math.pi / CORNERS), math.sin(i * 2 * math.pi / CORNERS))
    for i in range(CORNERS)
)


class Item(Protocol):
    """A thing that stands in the street."""

    @property
    def depth(self) -> float:
        """Distance in metres; far items are painted first."""

    @property
    def shade(self) -> Footprint | None:
        """Prism that casts its shadow, None without a shadow."""

    def draw(self, canvas: Canvas) -> None:
        """Paints image and label."""


@dataclass(frozen=True)
class Footprint:
    """A prism that stands for an item when shadows are cast.

    Args:
        ground: Up to CORNERS corners (x, z) in metres.
        height: Height of the top in metres.
        base: Height of the underside; above 0 for crowns of trees.
    """

    ground: tuple[tuple[float, float], ...]
    height: float
    base: float = 0.0

    @property
    def farthest(self) -> float:
        """Largest z on the ground, in metres."""
        return max(z for _, z in self.ground)

    @classmethod
    def rectangle(
        cls, x: float, z: float, *, length: float, width: float, heading: float, height: float
    ) -> Footprint:
        """Makes a rectangular footprint with a heading."""
        sin, cos = math.sin(heading) / 2, math.cos(heading) / 2
        ground = tuple(
            (x + a * length * sin + b * width * cos, z + a * length * cos - b * width * sin)
            for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))
        )
        return cls(ground, height)

    @classmethod
    def round(cls, x: float, z: float, *, radius: float, height: float, base: float) -> Footprint:
        """Makes a round footprint."""
        return cls(tuple((x + radius * a, z + radius * b) for a, b in _CIRCLE), height, base)


def cast_shadows(prisms: list[Footprint], shift: tuple[float, float]) -> np.ndarray:
    """Lays prisms on the ground along the light.

    Args:
        prisms: P prisms.
        shift: Metres in x and z that a shadow goes for each metre of height.

    Returns:
        Points (P, 2 * CORNERS, 3) in metres; the convex hull of each row is a shadow.
    """
    # Prisms with fewer corners repeat theirs, which leaves the hull as it is.
    ground = np.array([(p.ground * CORNERS)[:CORNERS] for p in prisms])
    heights = np.array([(p.base, p.height) for p in prisms])
    flat = ground[:, None] + heights[:, :, None, None] * np.asarray(shift)
    flat = flat.reshape(len(prisms), 2 * CORNERS, 2)
    out = np.zeros((len(prisms), 2 * CORNERS, 3))
    out[..., [0, 2]] = flat
    return out
