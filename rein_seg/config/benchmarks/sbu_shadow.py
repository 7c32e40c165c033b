"""Shadows: SBU, 4085 training images, 408 of them held out; 638 test images.

The held-out images choose the checkpoint.
"""

from __future__ import annotations

from dataclasses import replace

from rein_seg.config.benchmarks import binary_1024
from rein_seg.config.benchmarks.binary_1024 import pictures, prefix

THING = 'shadow'
SHADOWS = dict(
    **prefix('SBU-shadow/{split}/ShadowImages', 'SBU-shadow/{split}/ShadowMasks'),
    threshold=128,
    extra_labels=True,
)
TRAIN = dict(**SHADOWS, split='SBUTrain4KRecoveredSmall')
TEST = dict(**SHADOWS, split='SBU-Test')
BENCHMARK = replace(
    binary_1024.BENCHMARK,
    name='sbu_shadow',
    train=(pictures('sbu_train', THING, dict(**TRAIN, part='train'), images=3677),),
    val=(pictures('sbu_val', THING, dict(**TRAIN, part='val'), images=408),),
    test=(pictures('sbu', THING, TEST, images=638),),
    source='sbu_val',
    targets=('sbu',),
    selection=dict(metric='sbu_val/BER', rule='less'),
    epochs=10,
)
