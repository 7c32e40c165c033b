"""How data and metric of a run deviate from a shipped benchmark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mmseg.registry import DATASETS

from rein_seg.config.config_paths import Parts, deviations_in
from rein_seg.config.definitions import Benchmark, to_config

# how and where files lie, and what happens to them later, does not make other data
_NO_DATA = (
    'data_root', 'data_prefix', 'img_suffix', 'seg_map_suffix', 'csv', 'hint', 'pipeline',
    'cache_dir', 'cache_raw', 'lazy_init', 'serialize_data', 'test_mode',
)  # fmt: skip
_NO_METRIC = ('protocol', 'changed', 'output_dir', 'prefix', 'collect_device', 'compact')


def data_deviations(benchmark: Benchmark | None, parts: Parts, use: str) -> Iterator[str]:
    """Yields how the data of a loader deviate from a shipped benchmark.

    Args:
        benchmark: Its definition; from a user's own nothing deviates.
        parts: Of the config.
        use: train, val or test.
    """
    if benchmark is None:
        return
    ours = [_without(node, _NO_DATA) for node in parts.datasets[use]]
    theirs = [_without(domain.node, _NO_DATA) for domain in benchmark.domains(use)]
    if benchmark.bands is not None:  # each data set has got them
        theirs = [{'bands': to_config(benchmark.bands), **node} for node in theirs]
    name = 'training data' if use == 'train' else f'{use} data'
    domains = [[node.get('domain') for node in nodes] for nodes in (ours, theirs)]
    yield from deviations_in(name, *domains)
    if domains[0] == domains[1]:
        for our, their in zip(ours, theirs, strict=True):
            # without classes in the definition, folders or lists name them
            aside = () if 'metainfo' in their or not _is_of_images(their) else ('metainfo',)
            yield from deviations_in(f'{name} of {their["domain"]}', _without(our, aside), their)
    for node in parts.wrappers[use]:
        if 'pipeline' in node:
            yield f'{name} through {node["type"]}'


def _is_of_images(node: Mapping[str, Any]) -> bool:
    return getattr(DATASETS.get(str(node.get('type'))), 'task', None) == 'images'


def metric_deviations(benchmark: Benchmark | None, parts: Parts, use: str) -> Iterator[str]:
    """Yields how the metric deviates from a shipped benchmark; ``use`` is val or test."""
    if benchmark is not None:
        # a change of the benchmark's unseen classes is a deviation of its own
        aside = (*_NO_METRIC, 'unseen') if benchmark.unseen else _NO_METRIC
        ours, theirs = parts.metrics[use] or [{}], benchmark.metric_nodes(use)
        for our, their in zip(ours, theirs, strict=False):
            yield from deviations_in('metric', _without(our, aside), their)


def _without(node: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in node.items() if key not in keys}
