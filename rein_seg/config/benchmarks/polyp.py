"""Polyps: PraNet's 1450 training images of Kvasir and CVC-ClinicDB, 145 of them held out.

The held-out images choose the checkpoint; tests Kvasir (100) and CVC-ClinicDB = CVC-612 (62).
"""

from __future__ import annotations

from dataclasses import replace

from rein_seg.config.benchmarks import binary_1024
from rein_seg.config.benchmarks.binary_1024 import pictures, prefix
from rein_seg.config.definitions import Domain

THING = 'polyp'
TRAIN = dict(**prefix('polyp/TrainDataset/images', 'polyp/TrainDataset/masks'), threshold=128)


def tested(name: str, folder: str, images: int) -> Domain:
    """Test images of one hospital."""
    where = prefix(f'polyp/TestDataset/{folder}/images', f'polyp/TestDataset/{folder}/masks')
    return pictures(name, THING, dict(**where, threshold=128), images=images)


BENCHMARK = replace(
    binary_1024.BENCHMARK,
    name='polyp',
    train=(pictures('polyp', THING, dict(**TRAIN, part='train'), images=1305),),
    val=(pictures('polyp_val', THING, dict(**TRAIN, part='val'), images=145),),
    test=(tested('kvasir', 'Kvasir', 100), tested('cvc612', 'CVC-ClinicDB', 62)),
    source='polyp_val',
    targets=('kvasir', 'cvc612'),
    selection=dict(metric='polyp_val/S', rule='greater'),
    epochs=30,
)
