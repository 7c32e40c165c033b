"""The classes of `coco_stuff_156_15`, all labelled in training."""

from __future__ import annotations

from dataclasses import replace

from rein_seg.config.benchmarks.coco_stuff_156_15 import BENCHMARK as SPLIT

BENCHMARK = replace(
    SPLIT,
    name='coco_stuff',
    unseen=(),
    metric={'type': 'SeenUnseenIoU', 'unseen': list(SPLIT.unseen)},
)
