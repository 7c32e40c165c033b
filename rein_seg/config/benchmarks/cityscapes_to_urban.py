"""Cityscapes -> BDD100K, Mapillary Vistas; the source's own val images are scored, not averaged."""

from __future__ import annotations

from dataclasses import replace

from rein_seg.config.benchmarks import gtav_to_urban
from rein_seg.config.benchmarks.gtav_to_urban import streets

BENCHMARK = replace(
    gtav_to_urban.BENCHMARK,
    name='cityscapes_to_urban',
    train=(streets('cityscapes', split='train'),),
    source='cityscapes',
    targets=('bdd100k', 'mapillary'),
)
