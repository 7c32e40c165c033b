"""Unseen classes of a benchmark: named once, they reach training labels and metrics.

K classes, S of them seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.config import Config
from mmseg.registry import METRICS

from rein_seg.config.class_names import class_names
from rein_seg.config.config_paths import Parts, same
from rein_seg.datasets.unseen import class_indexes
from rein_seg.errors import UserError
from rein_seg.evaluation import SeenUnseenIoU, metric_class
from rein_seg.heads.cascade import heads_of

STEP = 'KeepSeenLabels'
MARKER = 'unseen_label'  # argument of a head that gives unseen pixels pseudo labels
_SAID = ('unseen', 'compact', 'unseen_as')
# use and config of each `SeenUnseenIoU`
Metrics = Sequence[tuple[str, Any]]
_LOADERS = ('LoadLabels', 'LoadAnnotations')


def with_seen_labels(pipeline: Any, step: Mapping[str, Any] | None) -> Any:
    """Returns a training pipeline with the step behind its loading of labels.

    A pipeline that has the step, or loads no labels, stays as it is.

    Example:
        >>> from rein_seg.config.unseen import with_seen_labels
        >>> steps = [dict(type='LoadLabels'), dict(type='PackDomainInputs')]
        >>> [one['type'] for one in with_seen_labels(steps, dict(type='KeepSeenLabels'))]
        ['LoadLabels', 'KeepSeenLabels', 'PackDomainInputs']
    """
    if step is None or pipeline is None or _own(pipeline):
        return pipeline
    at = next((i for i, one in enumerate(pipeline) if _type(one) in _LOADERS), None)
    if at is None:
        return pipeline
    return type(pipeline)([*pipeline[: at + 1], dict(step), *pipeline[at + 1 :]])


def fill_unseen(cfg: Config, parts: Parts, step: Mapping[str, Any] | None) -> None:
    """Gives training pipelines and metrics the unseen classes of the benchmark, in place.

    Test labels keep all classes. With ``benchmark.compact`` the model has S classes, and metrics
    map its predictions back.

    Args:
        cfg: The config.
        parts: Its parts.
        step: From `seen_labels_step`.

    Raises:
        UserError: If an unseen class is no class or all are unseen, ``compact`` has none, a model
            with text or a metric that does not map predictions back, a pipeline loads no labels or
            keeps others, two heads name other labels of unseen pixels, or a metric names others.
    """
    metrics = list(_seen_unseen_metrics(parts))
    _check_tests(parts)
    if step is None:
        _refuse_alone(cfg, parts, metrics)
    else:
        _fill(cfg, parts, step, metrics)
    for use, metric in metrics:
        names = _names(parts.datasets[use])
        if names:
            class_indexes(metric['unseen'], names, f'{use}_evaluator.unseen')


def _fill(cfg: Config, parts: Parts, step: Mapping[str, Any], metrics: Metrics) -> None:
    names = _names([*parts.datasets['train'], *parts.tested])
    if names:
        class_indexes(step['unseen'], names, 'benchmark.unseen')
    _check_markers(cfg, step.get('unseen_as'))
    if cfg.benchmark.get('compact'):
        _make_compact(cfg, len(step['unseen']))
    for dataset in parts.datasets['train']:
        if dataset.get('pipeline') is not None:
            dataset['pipeline'] = with_seen_labels(dataset['pipeline'], step)
            _check_pipeline(dataset, step)
    for use, metric in metrics:
        for key in ('unseen', 'compact'):
            if key in step:
                metric.setdefault(key, step[key])
            if not same(metric.get(key) or None, step.get(key)):
                raise _disagree(f'{use}_evaluator', key, metric.get(key), step.get(key))


def _names(datasets: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return next(filter(None, map(class_names, datasets)), ())


def _check_markers(cfg: Config, marker: int | None) -> None:
    """Checks that no head waits for another label of unseen pixels."""
    for key in ('decode_head', 'auxiliary_head'):
        for head in (one for row in _listed(cfg.model.get(key)) for one in heads_of(row)):
            if head.get(MARKER) not in (None, marker):
                raise _disagree(f'model.{key} {head.get("type")}', MARKER, head[MARKER], marker)


def _check_tests(parts: Parts) -> None:
    """Checks that tests keep all labels."""
    for dataset in parts.tested:
        if _own(dataset.get('pipeline') or ()):
            raise UserError(
                f'the test pipeline of {dataset.get("domain")!r} has {STEP}: expected labels of '
                'all classes in validation and test, which score unseen classes; take it out'
            )


def _refuse_alone(cfg: Config, parts: Parts, metrics: Metrics) -> None:
    """Checks that nothing needs unseen classes where the benchmark has none."""
    if cfg.benchmark.get('compact'):
        raise UserError(
            'benchmark.compact=True, but benchmark.unseen names no class: expected both, since '
            'compact numbers the seen classes alone; name the unseen, or leave compact out'
        )
    for use, metric in metrics:
        if not metric.get('unseen'):
            raise UserError(
                f'{use}_evaluator is SeenUnseenIoU, but benchmark.unseen names no class: expected '
                'names of classes that training never labels; name them there, or score with '
                'DomainIoUMetric'
            )
        if metric.get('compact'):
            raise _disagree(f'{use}_evaluator', 'compact', True, None)
    for dataset in parts.datasets['train']:
        for own in _own(dataset.get('pipeline') or ()):
            raise _disagree(f'{STEP} of {dataset.get("domain")}', 'unseen', own.get('unseen'), None)


def _make_compact(cfg: Config, hidden: int) -> None:
    if cfg.model.get('text'):
        raise UserError(
            'benchmark.compact=True with model.text: expected one of the two, since a model that '
            'reads words has an output for each class, seen or not; leave compact out'
        )
    _check_evaluators(cfg)
    sampler = _type((cfg.get('train_dataloader') or {}).get('sampler'))
    for key, used in (
        ('benchmark.class_weights', cfg.benchmark.get('class_weights') is not None),
        ('RareClassSampler', sampler == 'RareClassSampler'),
    ):
        if used:
            raise UserError(
                f'benchmark.compact=True with {key}: expected one of the two, since compact '
                'renumbers the classes whose pixels were counted; leave one out'
            )
    total = cfg.benchmark.get('num_classes')
    if cfg.model.get('num_classes') is None and total is not None:
        cfg.model['num_classes'] = total - hidden


def _check_evaluators(cfg: Config) -> None:
    """Checks that predictions of the seen classes alone are mapped back wherever they are read."""
    for use in ('val', 'test'):
        for metric in _listed(cfg.get(f'{use}_evaluator')):
            kind = metric_class(metric['type'])
            if isinstance(kind, type) and not issubclass(kind, SeenUnseenIoU):
                raise UserError(
                    f'benchmark.compact=True with {use}_evaluator {kind.__name__}, which takes the '
                    'seen classes of the model for classes of the data: expected SeenUnseenIoU, '
                    'which maps them back; take it, or leave compact out'
                )


def _check_pipeline(dataset: Mapping[str, Any], step: Mapping[str, Any]) -> None:
    place = f'the training pipeline of {dataset.get("domain")!r}'
    own = _own(dataset['pipeline'])
    if not own:
        raise UserError(
            f'{place} has no LoadLabels, behind which {STEP} hides the unseen classes: expected '
            f'that step, or {STEP} in its place behind your own; add one of them'
        )
    if len(own) > 1:
        raise UserError(
            f'{place} has {STEP} {len(own)} times: expected it once, since the second reads labels '
            'that the first has changed; leave the others out'
        )
    for key in _SAID:
        if not same(own[0].get(key) or None, step.get(key)):
            raise _disagree(f'{STEP} of {place}', key, own[0].get(key), step.get(key))


def _disagree(place: str, key: str, ours: Any, stated: Any) -> UserError:
    of_head = key in ('unseen_as', MARKER)
    source = f'model.decode_head.{MARKER}' if of_head else f'benchmark.{key}'
    return UserError(
        f'{place} has {key}={ours!r}, but {source}={stated!r}: expected one value; set {source} '
        'alone, from where it reaches training labels and metrics'
    )


def _own(pipeline: Sequence[Any]) -> list[Any]:
    return [one for one in pipeline if _type(one) == STEP]


def _type(step: Any) -> str:
    return str(step.get('type')).rpartition('.')[2] if isinstance(step, Mapping) else ''


def _listed(nodes: Any) -> list[Any]:
    return [nodes] if isinstance(nodes, Mapping) else list(nodes or ())


def _seen_unseen_metrics(parts: Parts) -> Iterator[tuple[str, Any]]:
    """Yields use and config of each `SeenUnseenIoU`."""
    for use, metrics in parts.metrics.items():
        for metric in metrics:
            if issubclass(METRICS.get(metric['type']), SeenUnseenIoU):
                yield use, metric
