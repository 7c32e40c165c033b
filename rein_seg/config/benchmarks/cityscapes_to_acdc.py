"""Cityscapes -> ACDC's four conditions, their val images at 1920x1080; trained as rein1024.

The published scores are of the test server, whose labels are not public.
"""

from __future__ import annotations

from rein_seg.config.benchmarks.gtav_to_urban import streets
from rein_seg.config.definitions import Benchmark

TARGETS = ('night', 'snow', 'fog', 'rain')
BENCHMARK = Benchmark(
    name='cityscapes_to_acdc',
    num_classes=19,
    protocols=('acdc1024',),
    train=(streets('cityscapes', split='train'),),
    val=tuple(streets(name, 'acdc', split=f'{name}/val') for name in TARGETS),
    targets=TARGETS,
)
