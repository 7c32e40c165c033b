"""Regions of the 156 seen classes of `coco_stuff_156_15`, where prompts learn: 32 of each class."""

from __future__ import annotations

from rein_seg.config.benchmarks.coco_stuff_156_15 import BENCHMARK as SCENES
from rein_seg.config.region_benchmark import of_regions

BENCHMARK = of_regions(SCENES, 'coco_stuff156_regions', shots=32, protocols=('zsseg_prompts_coco',))
