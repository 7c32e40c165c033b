"""The drawn vehicles of `minivehicles`, to retrieve: the test has other classes than the training.

A class is a colour and a subtype. Every colour and every subtype is in both halves, in no pair
twice: 8 test subtypes alone would be too few to tell methods apart.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rein_seg.config.benchmarks.minivehicles import BENCHMARK as MINIVEHICLES
from rein_seg.config.benchmarks.minivehicles import SOURCE, TARGETS, vehicles
from rein_seg.config.image_benchmark import LOAD, PACK
from rein_seg.scenes.vehicles import CLASSES, COLOURS


def _half(parity: int) -> dict[str, Any]:
    pairs = [(c, s) for s in range(len(CLASSES)) for c in range(len(COLOURS))]
    names = [f'{COLOURS[c]} {CLASSES[s]}' for c, s in pairs if (c + s) % 2 == parity]
    return dict(metainfo=dict(classes=names))


BENCHMARK = replace(
    MINIVEHICLES,
    name='minivehicles_retrieval',
    num_classes=48,
    train=(vehicles(SOURCE, 'train', 8 * 96, **_half(0)),),
    val=tuple(vehicles(name, 'val', 4 * 96, **_half(1)) for name in (SOURCE, *TARGETS)),
    metric={'type': 'RecallAtK'},
    # the colour is a part of the class
    train_pipeline=(LOAD, dict(type='RandomFlip', prob=0.5), PACK),
)
