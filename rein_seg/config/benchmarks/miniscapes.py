"""The embedded benchmark: procedural street scenes, drawn on first use into data/miniscapes."""

from __future__ import annotations

from rein_seg.config.definitions import Benchmark, Domain
from rein_seg.config.protocols.driving import LABELS, LOAD, PACK

SOURCE, TARGETS = 'clear', ('overcast', 'night', 'fog', 'rain', 'snow')


def scenes(name: str, split: str, count: int) -> Domain:
    """Scenes of one domain."""
    return Domain(name=name, type='MiniScapesDataset', args=dict(split=split, count=count))


BENCHMARK = Benchmark(
    name='miniscapes',
    num_classes=19,
    sizes_as='miniscapes-256x128',
    crop_size=(128, 256),
    test_cfg=dict(mode='whole'),
    data_root='data/miniscapes',
    train=(scenes(SOURCE, 'train', 400),),
    val=tuple(scenes(name, 'val', 40) for name in (SOURCE, *TARGETS)),
    source=SOURCE,
    targets=TARGETS,
    batch_size=2,
    test_batch_size=4,
    workers=0,
    train_pipeline=(
        LOAD,
        LABELS,
        dict(type='RandomFlip', prob=0.5),
        dict(type='FastPhotoMetricDistortion'),
        PACK,
    ),
    test_pipeline=(LOAD, LABELS, PACK),
)
