"""Several tasks in a run: named by data sets and metrics, their classes reach model and text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mmengine.config import Config

from rein_seg.config.class_names import class_names
from rein_seg.config.config_paths import USES, Parts
from rein_seg.datasets.task_datasets import all_classes
from rein_seg.errors import UserError, near_misses

MODEL, SAMPLER, WRAPPER = 'MultiTaskSegmentor', 'TaskSampler', 'TaskDatasets'


def fill_tasks(cfg: Config, parts: Parts) -> None:
    """Gives a model of several tasks the classes of its data, and its data a sampler, in place.

    Args:
        cfg: The config.
        parts: Its parts.

    Raises:
        UserError: If model, data sets and metrics do not name the same tasks, there is one task
            alone, a task has other classes in another place, or an option has no meaning for
            several tasks.
    """
    of_model = str(cfg.model.get('type')).rpartition('.')[2] == MODEL
    named = [one for use in USES for one in parts.datasets[use] if one.get('task') is not None]
    if not of_model:
        if named:
            raise UserError(
                f'the data set of {named[0].get("domain")!r} has task={named[0]["task"]!r}, and '
                f'model.type={cfg.model.get("type")!r} trains one task: expected {MODEL}; set '
                'model.type, or leave task out'
            )
        return
    tasks = cfg.model.setdefault('tasks', {}) or {}
    for use in USES:
        _fill_use(cfg, parts, use, tasks)
    order = dict.fromkeys(one['task'] for one in named)  # as the data have them
    tasks = cfg.model['tasks'] = {name: tasks[name] for name in order} or tasks
    if len(tasks) == 1:
        raise UserError(
            f'model.type={MODEL!r}, and the data are of the task {[*tasks][0]!r} alone: expected '
            "two tasks or more; add data of another task, or take model.type='PEFTSegmentor' and "
            'leave task out of data sets and metrics'
        )
    _check_options(cfg, tasks)
    _fill_model(cfg, tasks)
    _fill_loader(cfg)


def metrics_of(evaluator: Any, task: str | None) -> list[Any]:
    """Returns the metrics of a task among those of an evaluator's config.

    Args:
        evaluator: Config of a metric, or a list of them.
        task: Its name; None returns all.

    Example:
        >>> from rein_seg.config.tasks import metrics_of
        >>> metrics_of([dict(type='A', task='road'), dict(type='B', task='all')], 'road')
        [{'type': 'A', 'task': 'road'}]
    """
    every = [evaluator] if isinstance(evaluator, Mapping) else list(evaluator or ())
    return every if task is None else [one for one in every if one.get('task') == task]


def _fill_use(cfg: Config, parts: Parts, use: str, tasks: dict[str, Any]) -> None:
    datasets, place = parts.datasets[use], f'{use}_dataloader'
    there = dict.fromkeys(one.get('task') for one in datasets)
    for dataset in datasets:
        task, names = dataset.get('task'), class_names(dataset)
        if task is None:
            raise UserError(
                f'{place}: the data set of {dataset.get("domain")!r} names no task, and the model '
                f'has several: expected the task of its labels; {_choice(tasks)}'
            )
        if use != 'train':
            _check_known(f'{place}: the data set of {dataset.get("domain")!r}', task, tasks)
        own = tasks.setdefault(task, {})
        if own.get('classes') is None and names:
            own['classes'] = list(names)
        if names and tuple(own['classes']) != names:
            raise UserError(
                f'{place}: the data set of {dataset.get("domain")!r} has the classes '
                f'{list(names)}, model.tasks.{task} has {list(own["classes"])}: expected the same '
                'in one order; leave classes out of the model, or give the data another task'
            )
    for name in tasks if datasets else ():
        if name not in there:
            raise UserError(
                f'{place} has no data set of the task {name!r}: expected data of every task; add '
                f'a data set with task={name!r}, or leave the task out of model.tasks'
            )
    for metric in parts.metrics.get(use, ()):
        _check_known(f'{use}_evaluator: {metric.get("type")}', metric.get('task'), there)
    for name in there if datasets and use != 'train' else ():
        if not metrics_of(parts.metrics[use], name):
            raise UserError(
                f'{use}_evaluator scores no task {name!r}: expected a metric of each task; add '
                f'one with task={name!r}'
            )
    for wrapper in parts.wrappers[use]:
        if wrapper.get('type') == 'ConcatDataset' and len(there) > 1:
            wrapper['type'] = WRAPPER


def _check_known(place: str, task: Any, tasks: Iterable[str]) -> None:
    if task not in tasks:
        raise UserError(f'{place} has task={task!r}; {near_misses(str(task), list(tasks))}')


def _choice(tasks: Iterable[str]) -> str:
    # a benchmark of one task names none
    otherwise = 'set task=NAME in it, or take a benchmark of several tasks'
    return near_misses('', tasks, otherwise=None if tasks else otherwise)


def _check_options(cfg: Config, tasks: Mapping[str, Any]) -> None:
    for key in ('unseen', 'class_weights'):
        if cfg.benchmark.get(key):
            raise UserError(
                f'benchmark.{key} is of one list of classes, and the run has the tasks '
                f'{list(tasks)}: expected none; leave it out, or train one task'
            )


def _fill_model(cfg: Config, tasks: Mapping[str, Any]) -> None:
    known = {name: one['classes'] for name, one in tasks.items() if one.get('classes')}
    every = all_classes(known)
    if every and cfg.model.get('num_classes') not in (None, len(every)):
        raise UserError(
            f'model.num_classes={cfg.model.num_classes}, and the tasks name {len(every)} different '
            'classes: expected the same; leave it out, it is filled in'
        )
    if every:
        cfg.model['num_classes'] = len(every)
    text = cfg.model.get('text')
    if every and isinstance(text, Mapping) and text.get('classes') is None:
        text['classes'] = list(every)  # type: ignore[index]
    if cfg.get('model_wrapper_cfg') is None:  # the heads of other tasks get no gradient in a step
        cfg['model_wrapper_cfg'] = dict(
            type='MMDistributedDataParallel',
            broadcast_buffers=False,
            find_unused_parameters=True,
        )


def _fill_loader(cfg: Config) -> None:
    loader = cfg.get('train_dataloader')
    if not loader:
        return
    sampler = loader.get('sampler') or {'type': SAMPLER}
    kind = sampler.get('type')
    if kind == 'StreamSampler':
        sampler['type'] = SAMPLER
    elif kind != SAMPLER:
        raise UserError(
            f'train_dataloader.sampler.type={kind!r} mixes tasks in a batch: expected {SAMPLER}, '
            'whose batches hold one task each; leave sampler out'
        )
    loader['sampler'] = sampler
