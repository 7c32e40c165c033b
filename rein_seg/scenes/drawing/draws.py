"""Cheap random draws. NumPy's `Generator.choice` takes longer than painting a whole vehicle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Thing = TypeVar('Thing')


def pick(rng: np.random.Generator, things: Sequence[Thing]) -> Thing:
    """Picks a thing, all with equal chance."""
    return things[int(rng.random() * len(things))]


def weighted(rng: np.random.Generator, weights: Sequence[float]) -> int:
    """Picks an index by weights that need not sum to 1.

    Example:
        >>> import numpy as np
        >>> from rein_seg.scenes.drawing.draws import weighted
        >>> rng = np.random.default_rng(0)
        >>> counts = np.bincount([weighted(rng, (3, 1)) for _ in range(1000)])
        >>> 0.7 < counts[0] / 1000 < 0.8
        np.True_
    """
    rest = rng.random() * math.fsum(weights)
    for index, weight in enumerate(weights):
        rest -= weight
        if rest < 0:
            return index
    return len(weights) - 1  # rounding left a rest


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """Draws uniformly from low..high."""
    return low + (high - low) * rng.random()


def distance(rng: np.random.Generator, near: float, far: float) -> float:
    """Draws a distance uniformly in its logarithm: near places are as frequent as far places."""
    return near * (far / near) ** rng.random()


def side_of(rng: np.random.Generator, right: float = 0.5) -> int:
    """Draws a side: 1 (right) with the given chance, else -1."""
    return 1 if rng.random() < right else -1
