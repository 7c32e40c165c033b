"""Cityscapes: its train images, and the mean over its own val images. No domain shift."""

from __future__ import annotations

from rein_seg.config.benchmarks.gtav_to_urban import streets
from rein_seg.config.definitions import Benchmark

BENCHMARK = Benchmark(
    name='cityscapes',
    num_classes=19,
    protocols=('ddrnet1024', 'hlg768', 'setr768', 'setr768_mla'),
    train=(streets('cityscapes', split='train'),),
    val=(streets('cityscapes', split='val'),),
    targets=('cityscapes',),
)
