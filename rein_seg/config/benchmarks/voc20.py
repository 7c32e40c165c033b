"""The classes of `voc20_15_5`, all labelled in training: an upper bound for its unseen classes."""

from __future__ import annotations

from dataclasses import replace

from rein_seg.config.benchmarks.voc20_15_5 import BENCHMARK as SPLIT

BENCHMARK = replace(
    SPLIT, name='voc20', unseen=(), metric={'type': 'SeenUnseenIoU', 'unseen': list(SPLIT.unseen)}
)
