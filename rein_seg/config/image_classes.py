"""Names the classes of image data sets in a config, where folders or lists name them.

So a resolved config, and an adapter file, knows the classes without the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmseg.registry import DATASETS

from rein_seg.config.config_paths import Parts
from rein_seg.datasets import ImageDataset
from rein_seg.errors import UserError
from rein_seg.evaluation import metric_class


def fill_image_classes(cfg: Config, parts: Parts, needed: bool = False) -> None:
    """Gives image data sets the names of the training classes, and the benchmark their number.

    A data set without classes of its own takes the training's, unless its images are compared
    with one another.

    Args:
        cfg: The config.
        parts: Its parts.
        needed: Whether it is an error if the classes cannot be read; else they stay open.

    Raises:
        UserError: If so.
    """
    for use in ('train', 'val', 'test'):
        # images that are compared with one another may be of any classes
        compares = any(
            metric_class(node['type']).reads == 'embedding' for node in parts.metrics.get(use, ())
        )
        for dataset in parts.datasets[use]:
            if not _is_open(dataset):
                continue
            like = next((one for one in parts.datasets['train'] if _names(one)), None)
            if compares or _class_of(dataset).own_classes:
                like = None
            names = _names(like) if like is not None else _read(dataset, cfg, needed)
            if names:
                dataset['metainfo'] = {**(dataset.get('metainfo') or {}), 'classes': list(names)}
    images = [one for one in parts.datasets['train'] if _class_of(one) is not None]
    names = next(filter(None, map(_names, images)), ())
    if names and cfg.benchmark.get('num_classes') is None:
        cfg.benchmark['num_classes'] = len(names)


def _class_of(dataset: Mapping[str, Any]) -> Any:
    cls = DATASETS.get(str(dataset.get('type')))
    return cls if isinstance(cls, type) and issubclass(cls, ImageDataset) else None


def _is_open(dataset: Mapping[str, Any]) -> bool:
    return _class_of(dataset) is not None and not _names(dataset)


def _names(dataset: Mapping[str, Any]) -> tuple[str, ...]:
    own = (dataset.get('metainfo') or {}).get('classes')
    of_class = getattr(_class_of(dataset), 'METAINFO', {}).get('classes')
    return tuple(own or of_class or ())


def _read(dataset: Mapping[str, Any], cfg: Config, needed: bool) -> tuple[str, ...]:
    root = dataset.get('data_root', cfg.get('data_root'))
    try:
        return _class_of(dataset).classes_of({**dataset, 'data_root': root})
    except (UserError, OSError, TypeError):
        if needed and cfg.benchmark.get('num_classes') is None:
            raise
        return ()
