"""Whether model, data sets and metrics are of one task: a class for each pixel, or for an image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config
from mmseg.registry import DATASETS, METRICS, MODELS

from rein_seg.config.config_paths import Parts
from rein_seg.errors import UserError
from rein_seg.evaluation import find_domain_metric, metric_class
from rein_seg.models.base import task_of

_WORDS = {'pixels': 'segments (a class for each pixel)', 'images': 'classifies whole images'}
_WAYS = {
    'pixels': 'take a benchmark of segmentation (FolderDataset, DomainIoUMetric)',
    'images': 'take a benchmark of whole images (ImageFolderDataset, ImageAccuracy)',
}
_READS = ('probabilities of classes', 'embeddings')


def check_task(cfg: Config, parts: Parts) -> None:
    """Checks that data sets and metrics are of the model's task.

    Args:
        cfg: The config.
        parts: Its parts.

    Raises:
        UserError: If a data set or a metric is of the other.
    """
    task = task_of(cfg.model.get('type'))
    if task == 'images':
        _refuse_pixels(cfg)
    for place, name, theirs in _tasks(parts):
        if theirs is not None and theirs != task:
            raise UserError(
                f'{place} {name} is of a model that {_WORDS[theirs]}, and '
                f'{cfg.model.get("type")} {_WORDS[task]}: expected one task; {_WAYS[task]}, or '
                f'another model.type'
            )
    if task == 'images':
        _check_result(cfg, parts)


def check_segments(cfg: Config, command: str) -> None:
    """Checks that the model of a config segments, for a command that needs maps of classes.

    Args:
        cfg: The config.
        command: Its name, for the message.

    Raises:
        UserError: If the model gives one result for a whole image.

    Example:
        >>> import rein_seg.apis
        >>> from mmengine.config import Config
        >>> from rein_seg.config.task import check_segments
        >>> check_segments(Config(dict(model=dict(type='PEFTSegmentor'))), 'submit')
    """
    if task_of((cfg.get('model') or {}).get('type')) == 'images':
        raise UserError(
            f'{command} needs a model that segments, and {cfg.model.type} {_WORDS["images"]}: '
            'expected a model of maps of classes; give its config'
        )


def _check_result(cfg: Config, parts: Parts) -> None:
    """Checks that metrics read what the head gives: logits or embeddings."""
    name = (cfg.model.get('head') or {}).get('type')
    output = getattr(MODELS.get(str(name)), 'output', None)
    for use, metrics in parts.metrics.items():
        for node in metrics:
            reads = getattr(METRICS.get(str(node.get('type'))), 'reads', None)
            if None not in (output, reads) and (output == 'embedding') != (reads == 'embedding'):
                raise UserError(
                    f'{use}_evaluator {node["type"]} reads {_READS[reads == "embedding"]}, and '
                    f'model.head {name} gives {_READS[output == "embedding"]}: expected a metric '
                    'for this head; take ImageAccuracy for classes, RecallAtK for embeddings'
                )


def _refuse_pixels(cfg: Config) -> None:
    for key in ('unseen', 'compact', 'class_weights'):
        if cfg.benchmark.get(key):
            raise UserError(
                f'benchmark.{key} is for labels of pixels, and {cfg.model.type} '
                f'{_WORDS["images"]}: leave it out'
            )
    if cfg.model.get('test_cfg'):
        raise UserError(
            f'model.test_cfg={dict(cfg.model.test_cfg)} is for windows and maps, and '
            f'{cfg.model.type} {_WORDS["images"]}: leave it out; transforms of the test pipeline '
            'make the size'
        )


def _tasks(parts: Parts) -> Iterator[tuple[str, Any, str | None]]:
    for use, datasets in parts.datasets.items():
        for node in datasets:
            yield f'{use}_dataloader.dataset', node.get('type'), _task(DATASETS, node.get('type'))
    for use, metrics in parts.metrics.items():
        for node in metrics:
            yield f'{use}_evaluator', node.get('type'), _task(METRICS, node.get('type'))


def _task(registry: Any, name: Any) -> str | None:
    cls = registry.get(name) if isinstance(name, str) else name
    return getattr(cls, 'task', None)


def compares_images(cfg: Config) -> bool:
    """Tells whether tests compare embeddings of images, which may be of any classes."""
    metric = find_domain_metric(cfg.get('val_evaluator') or cfg.get('test_evaluator') or [])
    return metric is not None and metric_class(metric['type']).reads == 'embedding'
