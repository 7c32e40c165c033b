"""GTAV -> Cityscapes, BDD100K, Mapillary Vistas: data as downloaded, raw ids mapped at load."""

from __future__ import annotations

from typing import Any

from rein_seg.config.definitions import Benchmark, Domain


def streets(name: str, layout: str | None = None, **args: Any) -> Domain:
    """Street scenes of one data set in Cityscapes' label space; the layout is named alike."""
    args = dict(layout=layout or name, **args)
    return Domain(name=name, type='CityscapesSpaceDataset', args=args)


TARGETS = (
    streets('cityscapes', split='val'),
    streets('bdd100k', split='val'),
    streets('mapillary', split='validation'),
)
BENCHMARK = Benchmark(
    name='gtav_to_urban',
    num_classes=19,
    protocols=('rein512', 'rein1024', 'soma512', 'tqdm', 'mfuser', 'vfmseg', 'vltseg'),
    train=(streets('gtav'),),
    val=TARGETS,
    targets=tuple(domain.name for domain in TARGETS),
)
