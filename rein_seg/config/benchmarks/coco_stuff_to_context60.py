"""Trained on COCO-Stuff, tested on 60 classes of PASCAL-Context, with background.

Other images and other names: for models that read the names of classes.
"""

from __future__ import annotations

from dataclasses import replace

from rein_seg.config.benchmarks.coco_stuff import BENCHMARK as COCO_STUFF
from rein_seg.config.definitions import Domain

BENCHMARK = replace(
    COCO_STUFF,
    name='coco_stuff_to_context60',
    test=(Domain(name='context60', type='Context60Dataset', args=dict(split='val'), images=5105),),
    source='coco_stuff',
    targets=('context60',),
    metric={'type': 'DomainIoUMetric'},
)
