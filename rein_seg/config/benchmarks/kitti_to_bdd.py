"""KITTI -> 24 frames of BDD100K: real images in the 19 classes of Cityscapes.

KITTI's last 50 images are the source's validation split.
"""

from __future__ import annotations

from rein_seg.config.benchmarks.gtav_to_urban import streets
from rein_seg.config.definitions import Benchmark

BENCHMARK = Benchmark(
    name='kitti_to_bdd',
    num_classes=19,
    protocols=('streets288', 'streets144'),
    train=(streets('kitti', split='train'),),
    val=(streets('kitti', split='val'), streets('bdd', 'bdd_taste')),
    source='kitti',
    targets=('bdd',),
    workers=0,
)
