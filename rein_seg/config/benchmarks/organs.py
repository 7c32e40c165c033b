"""The embedded benchmark of volumes: procedural CT slices, drawn on first use into data/organs."""

from __future__ import annotations

from rein_seg.config.definitions import Benchmark, Domain
from rein_seg.config.protocols.binary import LABELS, LOAD, PACK

SOURCE, TARGETS = 'standard', ('low_dose', 'native', 'wide', 'soft')


def organs(name: str, split: str, slices: int) -> Domain:
    """Slices of one domain."""
    return Domain(name=name, type='OrgansDataset', args=dict(split=split, count=slices))


BENCHMARK = Benchmark(
    name='organs',
    num_classes=6,
    sizes_as='organs-96',
    crop_size=(96, 96),
    test_cfg=dict(mode='whole'),
    data_root='data/organs',
    train=(organs(SOURCE, 'train', 480),),
    val=tuple(organs(name, 'val', 48) for name in (SOURCE, *TARGETS)),
    source=SOURCE,
    targets=TARGETS,
    metric=dict(type='VolumeSegMetric'),
    selection=dict(metric=f'{SOURCE}/Dice', rule='greater'),
    batch_size=6,
    test_batch_size=12,
    workers=0,
    train_pipeline=(LOAD, LABELS, dict(type='TurnOrRotate'), PACK),
    test_pipeline=(LOAD, LABELS, PACK),
)
