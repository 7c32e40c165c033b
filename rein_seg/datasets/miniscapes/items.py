"""What a street is made of: things with a depth, a shadow and a way to draw themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rein_seg.datasets.miniscapes.canvas import Canvas


class Item(Protocol):
    """Something that stands in the street."""

    @property
    def depth(self) -> float:
        """Distance by which items are painted, far ones first."""

    @property
    def shade(self) -> Footprint | None:
        """What its shadow is made from, None for things that cast none."""

    def draw(self, canvas: Canvas) -> None:
        """Paints image and label."""


@dataclass(frozen=True)
class Footprint:
    """A prism that stands for an item when shadows are cast.

    Args:
        ground: Corners (N, 2) as (x, z) in metres.
        height: Height of the top in metres.
        base: Height of the underside; above 0 for crowns of trees.
    """

    ground: np.ndarray
    height: float
    base: float = 0.0

    @classmethod
    def rectangle(
        cls, x: float, z: float, *, length: float, width: float, heading: float, height: float
    ) -> Footprint:
        """Makes the footprint of something with a heading."""
        sin, cos = math.sin(heading), math.cos(heading)
        corners = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
        corners = corners * [length, width]
        ground = np.stack(
            [x + corners[:, 0] * sin + corners[:, 1] * cos,
             z + corners[:, 0] * cos - corners[:, 1] * sin],
            axis=1,
        )
        return cls(ground, height)

    @classmethod
    def round(cls, x: float, z: float, *, radius: float, height: float, base: float) -> Footprint:
        """Makes the footprint of something round."""
        angles = np.linspace(0, 2 * math.pi, 9)[:-1]
        ground = np.stack([x + radius * np.cos(angles), z + radius * np.sin(angles)], axis=1)
        return cls(ground, height, base)

    def cast(self, shift: tuple[float, float]) -> np.ndarray:
        """Lays the prism on the ground along the light.

        Args:
            shift: Metres in x and z that a shadow goes for each metre of height.

        Returns:
            Points (2N, 3) in metres whose convex hull is the shadow.
        """
        low = self.ground + np.asarray(shift) * self.base
        high = self.ground + np.asarray(shift) * self.height
        flat = np.concatenate([low, high])
        return np.stack([flat[:, 0], np.zeros(len(flat)), flat[:, 1]], axis=1)
