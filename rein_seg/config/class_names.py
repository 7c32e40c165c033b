"""Gives a model that reads words the class names of its data sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmseg.registry import DATASETS

from rein_seg.config.config_paths import Parts


def fill_class_names(cfg: Config, parts: Parts) -> None:
    """Gives the text branch of a model classes, unseen classes and words of the data, in place.

    Values of the config win.

    Args:
        cfg: The config.
        parts: Its parts.
    """
    text = cfg.model.get('text')
    if not isinstance(text, Mapping):
        return
    every = [*parts.datasets['train'], *parts.tested]
    names = next(filter(None, map(class_names, every)), None)
    if names and text.get('classes') is None:
        text['classes'] = list(names)
    if cfg.benchmark.get('unseen') and text.get('unseen') is None:
        text['unseen'] = list(cfg.benchmark.unseen)
    if cfg.benchmark.get('names') and text.get('names') is None:
        text['names'] = {name: list(words) for name, words in cfg.benchmark.names.items()}


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
