"""Drawn streets -> CamVid by day and at dusk, KITTI, 24 frames of BDD100K; 11 classes.

The drawings are made on first use, in data/miniscapes wherever the real images are.
"""

from __future__ import annotations

from rein_seg.config.benchmarks.camvid_to_kitti import DAY_VAL, TARGETS
from rein_seg.config.definitions import Benchmark, Domain


def drawn(split: str, count: int) -> Domain:
    """Drawn scenes in the classes of CamVid, about as large as CamVid's frames."""
    args = dict(split=split, count=count, size=(512, 256), data_root='data/miniscapes')
    return Domain(name='clear', type='MiniCamVidDataset', args=args)


BENCHMARK = Benchmark(
    name='miniscapes_to_real',
    num_classes=11,
    protocols=('streets288', 'streets144'),
    train=(drawn('train', 400),),
    val=(drawn('val', 40), DAY_VAL, *TARGETS),
    source='clear',
    targets=('day', *(domain.name for domain in TARGETS)),
    workers=0,
)
