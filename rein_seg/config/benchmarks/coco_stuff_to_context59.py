"""Trained on COCO-Stuff, tested on 59 classes of PASCAL-Context.

Other images and other names: for models that read the names of classes.
"""

from __future__ import annotations

from dataclasses import replace

from rein_seg.config.benchmarks.coco_stuff import BENCHMARK as COCO_STUFF
from rein_seg.config.definitions import Domain

BENCHMARK = replace(
    COCO_STUFF,
    name='coco_stuff_to_context59',
    test=(Domain(name='context59', type='Context59Dataset', args=dict(split='val'), images=5105),),
    source='coco_stuff',
    targets=('context59',),
    metric={'type': 'DomainIoUMetric'},
)
