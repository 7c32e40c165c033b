"""GTAV, SYNTHIA and UrbanSyn -> Cityscapes, BDD100K, Mapillary Vistas.

Mixed by their numbers of images (24,966, 9,400 and 7,539). No published statement found of how
published runs mix them.
"""

from __future__ import annotations

from dataclasses import replace

from rein_seg.config.benchmarks import gtav_to_urban
from rein_seg.config.benchmarks.gtav_to_urban import streets

BENCHMARK = replace(
    gtav_to_urban.BENCHMARK,
    name='gtav_synthia_urbansyn_to_urban',
    train=(streets('gtav'), streets('synthia'), streets('urbansyn')),
)
