"""Gives a model that reads words the class names of its data sets.

Label k is scored as class k of the data, so row k of the text must be the same class.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmseg.registry import DATASETS

from rein_seg.config.config_paths import Parts
from rein_seg.errors import UserError


def fill_class_names(cfg: Config, parts: Parts) -> None:
    """Gives the text branch of a model classes, unseen classes and words of the data, in place.

    Words of the config win.

    Args:
        cfg: The config.
        parts: Its parts.

    Raises:
        UserError: If the config names other classes than the training data, or other unseen classes
            than the benchmark.
    """
    text = cfg.model.get('text')
    if not isinstance(text, Mapping):
        return
    unseen = list(cfg.benchmark.get('unseen') or ())
    if parts.datasets['train']:  # a model of the library has none, and no benchmark
        if not cfg.model.get('tasks'):  # whose classes are checked by themselves
            _check_classes(text, parts)
        _check_unseen(text, unseen)
    every = [*parts.datasets['train'], *parts.tested]
    names = next(filter(None, map(class_names, every)), None)
    if names and text.get('classes') is None:
        text['classes'] = list(names)
    if unseen and text.get('unseen') is None:
        text['unseen'] = unseen
    if cfg.benchmark.get('names') and text.get('names') is None:
        text['names'] = {name: list(words) for name, words in cfg.benchmark.names.items()}


def _check_classes(text: Mapping[str, Any], parts: Parts) -> None:
    given = text.get('classes')
    for dataset in parts.datasets['train']:
        names = class_names(dataset)
        if given is not None and names and tuple(given) != names:
            raise UserError(
                f'model.text.classes={list(given)}, but the training data of '
                f'{dataset.get("domain")!r} have the classes {list(names)}: expected the same in '
                'one order, since an index means a class; set model.text.classes=None, and put '
                'other words for a class into model.text.names'
            )


def _check_unseen(text: Mapping[str, Any], unseen: list[str]) -> None:
    given = text.get('unseen')
    if given is not None and sorted(given) != sorted(unseen):
        raise UserError(
            f'model.text.unseen={list(given)}, but benchmark.unseen={unseen}: expected one list; '
            'set benchmark.unseen alone, from where it reaches labels, metrics and text'
        )


def class_names(dataset: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the class names of a data set's config, or of its class.

    Args:
        dataset: Config of a data set.

    Example:
        >>> import rein_seg.apis
        >>> from rein_seg.config.class_names import class_names
        >>> class_names(dict(type='MiniScapesDataset'))[:2]
        ('road', 'sidewalk')
        >>> class_names(dict(type='FolderDataset', metainfo=dict(classes=['sky', 'sea'])))
        ('sky', 'sea')
    """
    own = (dataset.get('metainfo') or {}).get('classes')
    of_class = getattr(DATASETS.get(str(dataset.get('type'))), 'METAINFO', {}).get('classes')
    return tuple(own or of_class or ())
