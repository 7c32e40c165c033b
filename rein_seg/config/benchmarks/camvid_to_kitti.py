"""CamVid by day -> CamVid at dusk, KITTI, 24 frames of BDD100K: real images, 11 classes."""

from __future__ import annotations

from typing import Any

from rein_seg.config.definitions import Benchmark, Domain


def in_11_classes(name: str, layout: str, **args: Any) -> Domain:
    """Street scenes of a data set in the classes of CamVid."""
    return Domain(name=name, type='CamVidSpaceDataset', args=dict(layout=layout, **args))


DAY_VAL = in_11_classes('day', 'camvid', split='day_val')
TARGETS = (
    in_11_classes('dusk', 'camvid', split='dusk_val'),
    in_11_classes('kitti', 'kitti'),
    in_11_classes('bdd', 'bdd_taste'),
)
BENCHMARK = Benchmark(
    name='camvid_to_kitti',
    num_classes=11,
    protocols=('streets288', 'streets144'),
    train=(in_11_classes('day', 'camvid', split='day_train'),),
    val=(DAY_VAL, *TARGETS),
    source='day',
    targets=tuple(domain.name for domain in TARGETS),
    workers=0,
)
