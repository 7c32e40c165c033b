"""Diseased spots on leaves: 498 training images, 49 of them held out; 90 test images.

The held-out images choose the checkpoint. Two csv say which of the images are which. Official rate:
schedules/adamw_conv_lora_3e4.py.
"""

from __future__ import annotations

from dataclasses import replace

from rein_seg.config.benchmarks import binary_1024
from rein_seg.config.benchmarks.binary_1024 import pictures

THING = 'disease'
LISTED = dict(csv='leaf_disease/{split}.csv', threshold=128)
TRAIN, TEST = dict(**LISTED, split='train'), dict(**LISTED, split='test')
BENCHMARK = replace(
    binary_1024.BENCHMARK,
    name='leaf_disease',
    train=(pictures('leaf_train', THING, dict(**TRAIN, part='train'), images=449),),
    val=(pictures('leaf_val', THING, dict(**TRAIN, part='val'), images=49),),
    test=(pictures('leaf', THING, TEST, images=90),),
    source='leaf_val',
    targets=('leaf',),
    selection=dict(metric='leaf_val/IoU_image', rule='greater'),
    epochs=30,
)
