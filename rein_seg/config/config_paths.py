"""Where the parts of a config lie, and whether two parts say the same."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mmengine.config import Config
from mmseg.registry import METRICS

from rein_seg.evaluation import ScoresByDomain

USES = ('train', 'val', 'test')
LOADERS = tuple(f'{use}_dataloader' for use in USES)


def datasets_of(cfg: Config, loaders: Iterable[str] = LOADERS) -> Iterator[Any]:
    """Yields the config of every data set in order, also inside ConcatDataset and the like.

    Example:
        >>> from mmengine.config import Config
        >>> from rein_seg.config.config_paths import datasets_of
        >>> several = dict(type='ConcatDataset', datasets=[dict(domain='fog'), dict(domain='rain')])
        >>> cfg = Config(dict(val_dataloader=dict(dataset=several)))
        >>> [dataset.domain for dataset in datasets_of(cfg)]
        ['fog', 'rain']
    """
    waiting = [cfg[key] for key in reversed(tuple(loaders)) if cfg.get(key)]
    waiting = [loader.dataset for loader in waiting if 'dataset' in loader]
    while waiting:
        dataset = waiting.pop()
        inner = inner_datasets(dataset)
        waiting += reversed(inner)
        if not inner:
            yield dataset


def inner_datasets(dataset: Any) -> list[Any]:
    """Returns the data sets inside a ConcatDataset and the like; other data sets have none."""
    inner = dataset.get('dataset')  # a name, of a data set of mmpretrain
    return dataset.get('datasets') or ([inner] if isinstance(inner, Mapping) else [])


class Parts:
    """The parts of a config that several steps need; writing into them changes the config.

    Args:
        cfg: A config whose data sets and metrics keep their places.

    Attributes:
        datasets: train, val, test -> every data set, also inside ConcatDataset and the like.
        wrappers: train, val, test -> every data set that holds other data sets.
        metrics: val, test -> every `ScoresByDomain`.
    """

    def __init__(self, cfg: Config) -> None:
        self._cfg = cfg
        self.datasets = {use: list(datasets_of(cfg, (f'{use}_dataloader',))) for use in USES}
        self.wrappers = {
            use: list(_wrappers((cfg.get(f'{use}_dataloader') or {}).get('dataset')))
            for use in USES
        }
        self.metrics = {
            use: [
                metric
                for metric in _listed(cfg.get(f'{use}_evaluator'))
                if _measures_domains(metric.get('type'))
            ]
            for use in ('val', 'test')
        }

    @property
    def tested(self) -> list[Any]:
        """The data sets of validation and test."""
        return [*self.datasets['val'], *self.datasets['test']]

    def hooks(self) -> list[tuple[str, Any]]:
        """Returns place and config of every hook that is not switched off."""
        default, custom = self._cfg.get('default_hooks') or {}, self._cfg.get('custom_hooks') or []
        places = [(f'default_hooks.{name}', hook) for name, hook in default.items() if hook]
        return places + [(f'custom_hooks.{i}', hook) for i, hook in enumerate(custom)]


def _wrappers(dataset: Any) -> Iterator[Any]:
    inner = inner_datasets(dataset) if dataset else []
    if inner:
        yield dataset
    for one in inner:
        yield from _wrappers(one)


def _listed(metrics: Any) -> list[Any]:
    return [metrics] if isinstance(metrics, Mapping) else list(metrics or [])


def _measures_domains(kind: Any) -> bool:
    known = METRICS.get(kind) if isinstance(kind, str) else kind
    return isinstance(known, type) and issubclass(known, ScoresByDomain)


def same(a: Any, b: Any) -> bool:
    """Says whether two parts hold the same values; a tuple is as good as a list.

    Example:
        >>> from rein_seg.config.config_paths import same
        >>> same(dict(size=(2, 3)), dict(size=[2, 3]))
        True
    """
    return _plain(a) == _plain(b)


def _plain(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def deviations_in(name: str, ours: Any, theirs: Any) -> Iterator[str]:
    """Yields ``NAME ours instead of theirs`` for each part that differs.

    Args:
        name: Of the part.
        ours: Its value in a run.
        theirs: Its value by definition.

    Example:
        >>> from rein_seg.config.config_paths import deviations_in
        >>> list(deviations_in('loader', dict(batch=2, size=(4, 4)), dict(batch=8, size=(4, 4))))
        ['loader.batch 2 instead of 8']
    """
    if same(ours, theirs):
        return
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for key in dict.fromkeys((*theirs, *ours)):
            yield from deviations_in(f'{name}.{key}', ours.get(key), theirs.get(key))
    elif _short(ours) and _short(theirs):
        yield f'{name} {_text(ours)} instead of {_text(theirs)}'
    else:
        yield name


def _short(value: Any) -> bool:
    plain = (str, int, float, type(None))
    if isinstance(value, (list, tuple)):
        return len(value) < 4 and all(isinstance(part, plain) for part in value)
    return isinstance(value, plain)


def _text(value: Any) -> str:
    if not isinstance(value, (list, tuple)):
        return str(value)
    numbers = all(isinstance(part, (int, float)) for part in value)
    return ('x' if numbers else ', ').join(str(part) for part in value)
