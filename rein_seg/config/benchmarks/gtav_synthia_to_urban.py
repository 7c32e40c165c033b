"""GTAV and SYNTHIA-RAND-CITYSCAPES -> Cityscapes, BDD100K, Mapillary Vistas.

An image of either source is as likely as another: 24,966 and 9,400. No published statement found of
how published runs mix the two.
"""

from __future__ import annotations

from dataclasses import replace

from rein_seg.config.benchmarks import gtav_to_urban
from rein_seg.config.benchmarks.gtav_to_urban import streets

BENCHMARK = replace(
    gtav_to_urban.BENCHMARK,
    name='gtav_synthia_to_urban',
    train=(streets('gtav'), streets('synthia')),
)
