"""Where the parts of a config lie, and whether two parts say the same."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mmengine.config import Config

from rein_seg.evaluation import DomainMetric, metric_class

USES = ('train', 'val', 'test')
LOADERS = tuple(f'{use}_dataloader' for use in USES)
EVALUATORS = ('val_evaluator', 'test_evaluator')


def datasets_of(cfg: Config, loaders: Iterable[str] = LOADERS) -> Iterator[Any]:
    """Yields the config of every data set, inside ConcatDataset and the like too, in order."""
    waiting = [cfg[key] for key in reversed(tuple(loaders)) if cfg.get(key)]
    waiting = [loader.dataset for loader in waiting if 'dataset' in loader]
    while waiting:
        dataset = waiting.pop()
        inner = inner_datasets(dataset)
        waiting += reversed(inner)
        if not inner:
            yield dataset


def inner_datasets(dataset: Any) -> list[Any]:
    """Returns the configs inside that of a ConcatDataset and the like, none of any other."""
    return dataset.get('datasets') or ([dataset['dataset']] if 'dataset' in dataset else [])


def domain_metrics(cfg: Config, evaluators: Iterable[str] = EVALUATORS) -> Iterator[Any]:
    """Yields the config of every `DomainMetric`."""
    for key in evaluators:
        metrics = cfg.get(key) or []
        for metric in [metrics] if isinstance(metrics, Mapping) else metrics:
            known = metric_class(metric) if metric.get('type') else None
            if isinstance(known, type) and issubclass(known, DomainMetric):
                yield metric


def hooks_of(cfg: Config) -> Iterator[tuple[str, Any]]:
    """Yields place and config of every hook that is not switched off."""
    for name, hook in (cfg.get('default_hooks') or {}).items():
        if hook:
            yield f'default_hooks.{name}', hook
    for i, hook in enumerate(cfg.get('custom_hooks') or []):
        yield f'custom_hooks.{i}', hook


def same(a: Any, b: Any) -> bool:
    """Says whether two parts hold the same values; a tuple is as good as a list."""
    return _plain(a) == _plain(b)


def _plain(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
