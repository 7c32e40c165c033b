"""BDD100K with two tasks: 19 classes of 8000 images, and drivable area of 80000 images."""

from __future__ import annotations

from rein_seg.config.benchmarks.gtav_to_urban import streets
from rein_seg.config.definitions import Benchmark, Domain


def areas(name: str, split: str) -> Domain:
    """Drivable area of one split."""
    return Domain(name=name, type='BDD100KDrivableDataset', args=dict(split=split))


SEMANTIC = Benchmark(
    name='bdd100k',
    num_classes=19,
    train=(streets('bdd100k_train', 'bdd100k', split='train'),),
    val=(streets('bdd100k', split='val'),),
    targets=('bdd100k',),
)
DRIVABLE = Benchmark(
    name='bdd100k_drivable',
    num_classes=3,
    train=(areas('drivable_train', 'train'),),
    val=(areas('drivable', 'val'),),
    targets=('drivable',),
)
BENCHMARK = Benchmark(
    name='bdd100k_tasks',
    num_classes=22,
    protocols=('lv_adapter', 'lv_adapter_finetune'),
    tasks=dict(semantic=SEMANTIC, drivable=DRIVABLE),
    # the text tower reads these words, which are ours
    names=dict(direct=('drivable road',), alternative=('alternative drivable road',)),
)
