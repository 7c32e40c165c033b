"""Camouflaged objects: SINet's 4040 training images of COD10K and CAMO, 404 of them held out.

The held-out images choose the checkpoint; test CAMO (250).
"""

from __future__ import annotations

from dataclasses import replace

from rein_seg.config.benchmarks import binary_1024
from rein_seg.config.benchmarks.binary_1024 import pictures, prefix

THING = 'camouflaged'
TRAIN = dict(**prefix('camo/TrainDataset/Imgs', 'camo/TrainDataset/GT'), threshold=128)
TEST = dict(**prefix('camo/TestDataset/CAMO/Imgs', 'camo/TestDataset/CAMO/GT'), threshold=128)
BENCHMARK = replace(
    binary_1024.BENCHMARK,
    name='camo',
    train=(pictures('camo_train', THING, dict(**TRAIN, part='train'), images=3636),),
    val=(pictures('camo_val', THING, dict(**TRAIN, part='val'), images=404),),
    test=(pictures('camo', THING, TEST, images=250),),
    source='camo_val',
    targets=('camo',),
    selection=dict(metric='camo_val/S', rule='greater'),
    epochs=20,
)
