"""Regions of the 15 seen classes of `voc20_15_5`, where prompts learn: 128 of each class."""

from __future__ import annotations

from rein_seg.config.benchmarks.voc20_15_5 import BENCHMARK as SCENES
from rein_seg.config.region_benchmark import of_regions

BENCHMARK = of_regions(SCENES, 'voc15_regions', shots=128, protocols=('zsseg_prompts_voc',))
