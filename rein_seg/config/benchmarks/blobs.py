"""The embedded binary benchmark: procedural lesions and animals in camouflage, in data/blobs."""

from __future__ import annotations

from rein_seg.config.definitions import Benchmark, Domain
from rein_seg.config.protocols.binary import LABELS, LOAD, PACK

SOURCE, TARGETS = 'tissue', ('pale', 'dark', 'noisy', 'leafy')


def blobs(name: str, split: str, count: int) -> Domain:
    """Pictures of one domain."""
    return Domain(name=name, type='BlobsDataset', args=dict(split=split, count=count))


BENCHMARK = Benchmark(
    name='blobs',
    num_classes=2,
    sizes_as='blobs-128',
    crop_size=(128, 128),
    test_cfg=dict(mode='whole', keep_scores=True),
    data_root='data/blobs',
    train=(blobs(SOURCE, 'train', 400),),
    val=tuple(blobs(name, 'val', 60) for name in (SOURCE, *TARGETS)),
    source=SOURCE,
    targets=TARGETS,
    metric=dict(type='BinarySegMetric'),
    selection=dict(metric=f'{SOURCE}/Dice_set', rule='greater'),
    batch_size=4,
    test_batch_size=8,
    workers=0,
    train_pipeline=(LOAD, LABELS, dict(type='RandomFlip', prob=0.5), PACK),
    test_pipeline=(LOAD, LABELS, PACK),
)
