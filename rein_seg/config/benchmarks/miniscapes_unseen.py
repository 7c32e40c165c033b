"""The drawn streets of `miniscapes`, with four classes that training never labels."""

from __future__ import annotations

from dataclasses import replace

from rein_seg.config.benchmarks.miniscapes import BENCHMARK as MINISCAPES

# chosen before any training, of different sizes: ground, a large area, a vehicle, a thin object
UNSEEN = ('sidewalk', 'vegetation', 'bus', 'bicycle')

BENCHMARK = replace(
    MINISCAPES,
    name='miniscapes_unseen',
    unseen=UNSEEN,
    metric={'type': 'SeenUnseenIoU'},
)
