"""Trained on COCO-Stuff, tested on the 150 classes of ADE20K.

Other images and other names: for models that read the names of classes.
"""

from __future__ import annotations

from dataclasses import replace

from rein_seg.config.benchmarks.ade20k import BENCHMARK as ADE20K
from rein_seg.config.benchmarks.coco_stuff import BENCHMARK as COCO_STUFF

BENCHMARK = replace(
    COCO_STUFF,
    name='coco_stuff_to_ade20k',
    test=ADE20K.val,
    source='coco_stuff',
    targets=ADE20K.targets,
    metric={'type': 'DomainIoUMetric'},
)
