"""MiniScapes with two tasks: all classes, and road against the rest, of the same scenes."""

from __future__ import annotations

from dataclasses import replace

from rein_seg.config.benchmarks import miniscapes
from rein_seg.config.definitions import Domain


def roads(domains: tuple[Domain, ...]) -> tuple[Domain, ...]:
    """The same scenes, labelled as road and background."""
    return tuple(replace(domain, type='MiniRoadsDataset') for domain in domains)


ALL = miniscapes.BENCHMARK
ROAD = replace(
    ALL, name='miniscapes_road', num_classes=2, train=roads(ALL.train), val=roads(ALL.val)
)
# 20 names: both tasks name the road
BENCHMARK = replace(
    ALL,
    name='miniscapes_tasks',
    num_classes=20,
    sizes_as='miniscapes-tasks',
    tasks=dict(semantic=ALL, road=ROAD),
    train=(),
    val=(),
    source=None,
    targets=(),
)
