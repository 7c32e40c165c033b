"""Trained on COCO-Stuff, tested on the 19 classes of Cityscapes.

Other images and other names: for models that read the names of classes.
"""

from __future__ import annotations

from dataclasses import replace

from rein_seg.config.benchmarks.cityscapes import BENCHMARK as CITYSCAPES
from rein_seg.config.benchmarks.coco_stuff import BENCHMARK as COCO_STUFF

BENCHMARK = replace(
    COCO_STUFF,
    name='coco_stuff_to_cityscapes',
    test=CITYSCAPES.val,
    source='coco_stuff',
    targets=CITYSCAPES.targets,
    metric={'type': 'DomainIoUMetric'},
)
