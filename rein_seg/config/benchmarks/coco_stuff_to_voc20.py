"""Trained on COCO-Stuff, tested on the 20 classes of PASCAL VOC.

Other images and other names: for models that read the names of classes.
"""

from __future__ import annotations

from dataclasses import replace

from rein_seg.config.benchmarks.coco_stuff import BENCHMARK as COCO_STUFF
from rein_seg.config.definitions import Domain

BENCHMARK = replace(
    COCO_STUFF,
    name='coco_stuff_to_voc20',
    test=(Domain(name='voc20', type='VOC20Dataset', args=dict(split='val'), images=1449),),
    source='coco_stuff',
    targets=('voc20',),
    metric={'type': 'DomainIoUMetric'},
)
