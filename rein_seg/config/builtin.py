"""Benchmarks and protocols as this version ships them, for comparison with what a config holds.

A config may override any part of its bases, definitions of protocols among them. What a result says
is changed is therefore told from this record, ``published.json``, not from the config itself.
``make published`` writes it anew from configs/; a test compares the two.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from mmengine.config import Config

from rein_seg.checkpoint import atomic_path
from rein_seg.config.config_paths import USES, datasets_of, inner_datasets
from rein_seg.config.differences import differences
from rein_seg.evaluation import find_domain_metric

RECORD = Path(__file__).with_name('published.json')
BENCHMARKS = Path(__file__).resolve().parents[2] / 'configs/_base_/benchmarks'
_SIZES = ('crop_size', 'test_cfg')
# how and where files lie, and what happens to them later, is not what data it is
_NO_DATA = (
    'data_root', 'data_prefix', 'img_suffix', 'seg_map_suffix', 'csv', 'hint', 'pipeline',
    'cache_dir', 'cache_raw', 'lazy_init', 'serialize_data', 'test_mode',
)  # fmt: skip
_NO_METRIC = ('protocol', 'changed', 'output_dir', 'prefix', 'collect_device')


@lru_cache(maxsize=1)
def published() -> Mapping[str, Any]:
    """Returns ``benchmarks`` and ``protocols``, each by name."""
    return json.loads(RECORD.read_text())


def published_benchmark(cfg: Config) -> Mapping[str, Any] | None:
    """Returns what the config's benchmark ships as, None if it is one's own."""
    return published()['benchmarks'].get(cfg.benchmark.get('name'))


def data_changes(cfg: Config, use: str) -> Iterator[str]:
    """Yields what is otherwise in the data of a shipped benchmark.

    Args:
        cfg: Completed config.
        use: train, val or test.
    """
    shipped = published_benchmark(cfg)
    if shipped is None:
        return
    ours, theirs = data_nodes(cfg, use), shipped['data'][use]
    name = 'training data' if use == 'train' else f'{use} data'
    domains = [[node.get('domain') for node in nodes] for nodes in (ours, theirs)]
    if domains[0] != domains[1]:
        yield from differences(name, *domains)
    for one, other in zip(ours, theirs, strict=True) if domains[0] == domains[1] else ():
        yield from differences(f'{name} of {other.get("domain")}', one, other)
    for node in _wrappers(cfg, use):
        if 'pipeline' in node:
            yield f'{name} through {node["type"]}'


def metric_changes(cfg: Config, use: str) -> Iterator[str]:
    """Yields what is otherwise in the metric of a shipped benchmark; ``use`` is val or test."""
    shipped = published_benchmark(cfg)
    if shipped is not None:
        yield from differences('metric', metric_node(cfg, use), shipped['metrics'][use])


def data_nodes(cfg: Config, use: str) -> list[dict[str, Any]]:
    """Returns what data each data set of a loader is, without where it lies."""
    return [
        {key: value for key, value in node.items() if key not in _NO_DATA}
        for node in datasets_of(cfg, (f'{use}_dataloader',))
    ]


def metric_node(cfg: Config, use: str) -> dict[str, Any]:
    """Returns what the domain metric of an evaluator measures."""
    metric = find_domain_metric(cfg.get(f'{use}_evaluator') or []) or {}
    return {key: value for key, value in metric.items() if key not in _NO_METRIC}


def _wrappers(cfg: Config, use: str) -> Iterator[Any]:
    waiting = [(cfg.get(f'{use}_dataloader') or {}).get('dataset')]
    while waiting:
        node = waiting.pop()
        inner = node and inner_datasets(node)
        if inner:
            yield node
            waiting += inner


def collect(folder: Path = BENCHMARKS) -> dict[str, Any]:
    """Returns the content of ``published.json``, read from the benchmarks' config files.

    Raises:
        ValueError: If one name stands for two protocols.
    """
    benchmarks: dict[str, Any] = {}
    protocols: dict[str, Any] = {}
    for path in sorted(folder.glob('*.py')):
        cfg = Config.fromfile(str(path))
        if not cfg.benchmark.get('name'):
            continue  # a part of others
        defined = cfg.get('protocols') or {cfg.benchmark.protocol: {}}
        sizes = {key: cfg.benchmark[key] for key in _SIZES if key in cfg.benchmark}
        for name, protocol in defined.items():
            content = _plain(protocol)
            if protocols.setdefault(name, content) != content:
                raise ValueError(f'{path.name}: protocol {name!r} is another one elsewhere')
        benchmarks[cfg.benchmark.name] = _plain(
            {
                'protocols': list(defined),
                'sizes': sizes,
                'evaluated_as': cfg.benchmark.get('evaluated_as') or {},
                'data': {use: data_nodes(cfg, use) for use in USES},
                'metrics': {use: metric_node(cfg, use) for use in ('val', 'test')},
            }
        )
    return {'benchmarks': benchmarks, 'protocols': protocols}


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def write() -> None:
    """Writes ``published.json``."""
    with atomic_path(RECORD) as temporary:
        temporary.write_text(json.dumps(collect(), indent=1) + '\n')
