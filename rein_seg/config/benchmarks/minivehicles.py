"""The embedded fine-grained set: drawn vehicles of 16 subtypes, to classify."""

from __future__ import annotations

from typing import Any

from rein_seg.config.definitions import Benchmark, Domain
from rein_seg.config.image_benchmark import LOAD, PACK

SOURCE, TARGETS = 'clear', ('overcast', 'night', 'fog', 'rain', 'snow')


def vehicles(name: str, split: str, count: int, **args: Any) -> Domain:
    """Pictures of one domain: 96 have each of 16 subtypes in each of 6 colours once."""
    return Domain(name=name, type='VehiclesDataset', args=dict(split=split, count=count, **args))


BENCHMARK = Benchmark(
    name='minivehicles',
    num_classes=16,
    sizes_as='minivehicles-96x72',
    data_root='data/minivehicles',
    train=(vehicles(SOURCE, 'train', 3 * 96),),
    val=tuple(vehicles(name, 'val', 96) for name in (SOURCE, *TARGETS)),
    source=SOURCE,
    targets=TARGETS,
    metric={'type': 'ImageAccuracy'},
    batch_size=16,
    test_batch_size=16,
    workers=0,
    train_pipeline=(
        LOAD,
        dict(type='RandomFlip', prob=0.5),
        dict(type='FastPhotoMetricDistortion'),
        PACK,
    ),
    test_pipeline=(LOAD, PACK),
)
