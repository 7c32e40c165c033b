"""What a config leaves open: the protocol's pipeline, the metric that chooses, epochs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mmengine import dist
from mmengine.config import Config
from mmseg.registry import DATASETS

from rein_seg.errors import UserError, near_misses
from rein_seg.evaluation.domain_metric import DomainMetric, metric_class

FROM_BENCHMARK = 'benchmark'
_EVALUATORS = ('val_evaluator', 'test_evaluator')


def fill_protocol(cfg: Config, training: Iterable[Any], testing: Iterable[Any]) -> None:
    """Gives data sets without a pipeline the one of their use; names the protocol, in place.

    Only where the config has ``test_pipelines``, protocol -> pipeline: its ``protocol`` chooses.

    Args:
        cfg: The config.
        training: Configs of the training data sets; they get ``train_pipeline``.
        testing: Configs of the others.

    Raises:
        UserError: If there is no such protocol, or no data set that it would change.
    """
    pipelines = cfg.get('test_pipelines')
    if pipelines is None:
        return
    chosen = cfg.get('protocol')
    if chosen not in pipelines:
        raise UserError(f'protocol={chosen!r}; {near_misses(str(chosen), pipelines)}')
    for dataset in training:
        dataset.setdefault('pipeline', cfg.train_pipeline)
    testing = list(testing)
    reached = [dataset for dataset in testing if 'pipeline' not in dataset]
    named = cfg.benchmark.get('protocol', chosen)
    if testing and not reached and named != chosen:
        raise UserError(
            f'protocol={chosen!r} reaches no data set: each has a pipeline of its own, that of '
            f'{named!r}; set those, or start from the config that this one was made of'
        )
    for dataset in reached:
        dataset['pipeline'] = pipelines[chosen]
    cfg.benchmark['protocol'] = chosen
    for key in _EVALUATORS:
        metrics = cfg.get(key) or []
        for metric in [metrics] if isinstance(metrics, dict) else metrics:
            if issubclass(metric_class(metric), DomainMetric):
                metric['protocol'] = chosen


def fill_selection(cfg: Config) -> None:
    """Gives hooks that say ``benchmark`` the metric that the benchmark selects by, in place.

    Raises:
        UserError: If the benchmark names none.
    """
    for name, hook in (cfg.get('default_hooks') or {}).items():
        for key in ('save_best', 'monitor'):
            if not hook or hook.get(key) != FROM_BENCHMARK:
                continue
            selection = cfg.benchmark.get('selection')
            if not selection:
                raise UserError(
                    f'default_hooks.{name}.{key}={FROM_BENCHMARK!r}, but this benchmark chooses by '
                    "no metric: give benchmark.selection=dict(metric='DOMAIN/mIoU', "
                    f"rule='greater'), or default_hooks.{name}=None"
                )
            hook[key], hook['rule'] = selection['metric'], selection['rule']


def fill_iterations(cfg: Config) -> None:
    """Turns ``epochs`` into iterations where the schedule leaves them open (None), in place.

    An epoch has as many iterations as batches, over all processes, cover the training images; the
    last batch may be smaller. Validation and checkpoints are by epoch, schedules end with the run.

    Raises:
        UserError: If neither epochs nor iterations are given.
    """
    loop = cfg.train_cfg
    epochs = cfg.get('epochs')
    if loop.get('max_iters') is None and cfg.get('max_iters') is not None:
        loop['max_iters'] = cfg.max_iters
    if loop.get('max_iters') is None or ('val_interval' in loop and loop.val_interval is None):
        images = len(DATASETS.build(cfg.train_dataloader.dataset))
        each = -(-images // (cfg.train_dataloader.batch_size * dist.get_world_size()))
    if loop.get('max_iters') is None:
        if not isinstance(epochs, int) or epochs < 1:
            raise UserError(
                f'the schedule counts in epochs, and epochs={epochs!r}: give epochs=30, or '
                'max_iters=10000 (iterations)'
            )
        cfg.max_iters = loop['max_iters'] = epochs * each
    if 'val_interval' in loop and loop.val_interval is None:
        loop['val_interval'] = min(each, loop.max_iters)
    for schedule in cfg.get('param_scheduler') or []:
        if 'end' in schedule and schedule.end is None:
            schedule['end'] = loop.max_iters
    checkpoint = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    if 'interval' in checkpoint and checkpoint.interval is None:
        checkpoint['interval'] = loop.val_interval
