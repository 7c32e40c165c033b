"""Regions of the 15 seen classes of `miniscapes_unseen`, for prompts that learn on them."""

from __future__ import annotations

from rein_seg.config.benchmarks.miniscapes_unseen import BENCHMARK as SCENES
from rein_seg.config.region_benchmark import of_regions, test_steps, train_steps
from rein_seg.encoders.info import DEFAULT_MEAN

_SIDE = 64

BENCHMARK = of_regions(
    SCENES,
    'miniscapes_regions',
    shots=16,
    sizes_as='miniscapes-regions-64',
    batch_size=16,
    train_pipeline=train_steps(_SIDE, mean=DEFAULT_MEAN),
    test_pipeline=test_steps(_SIDE, mean=DEFAULT_MEAN),
)
