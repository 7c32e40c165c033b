"""The base of all metrics: scores by domain, their order, the mean over targets, the report."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmseg.registry import METRICS

from rein_seg.errors import UserError
from rein_seg.evaluation.tables import domain_table


class ScoresByDomain(BaseMetric):
    """Summarises measurements in scores for each domain, then in their mean over the targets.

    A subclass adds ``(domain, measurement)`` of each image to ``results`` in `process`, summarises
    the measurements of a domain in scores (`summarise`), and names the scores that are averaged and
    printed (``columns``). `DomainMetric` is the base for label maps, `ImageMetric` for images.

    Args:
        source: Name of the source domain, which is printed and left out of the mean, or None.
        targets: Domains of the mean, in the order of the table. None takes all domains but the
            source, sorted.
        protocol: Name of the protocol of this test.
        changed: Deviations from the protocol; printed beside its name.
        task: Name of the task whose samples are measured, in a run of several tasks; it stands in
            front of the names of scores. None measures all samples.
        **kwargs: As mmengine's `BaseMetric`.

    Attributes:
        columns: Names of the scores in the table and in the mean, the main score first.
        fractions: The columns with values 0..1.
        units: Unit of the columns that are distances; all others are in %.
        of_task: Name of the task that is measured, None for all.
        needs_scores: Whether samples must carry ``pred_scores``.
        reads: Field of a sample of a whole image that it reads; None of label maps. Images whose
            ``embedding`` it compares may be of other classes than the training's.
        report: Everything about the test, after `compute_metrics` (main process).

    Raises:
        UserError: If a named target got no sample.

    Example:
        >>> from rein_seg.evaluation import ScoresByDomain
        >>> class Brightness(ScoresByDomain):
        ...     columns = ('mean',)
        ...     def process(self, data_batch, data_samples):
        ...         self.results += [(one['domain'], one['value']) for one in data_samples]
        ...     def summarise(self, measured):
        ...         return {'mean': sum(measured) / len(measured)}
        >>> metric = Brightness(source='day')
        >>> metric.process(None, [dict(domain='day', value=60.0), dict(domain='fog', value=20.0)])
        >>> _ = metric.compute_metrics(metric.results)
        >>> metric.report['mean_over_targets']
        {'mean': 20.0}
    """

    columns: tuple[str, ...] = ()
    fractions: tuple[str, ...] = ()
    units: Mapping[str, str] = {}
    needs_scores = False
    reads: str | None = None

    def __init__(
        self,
        *,
        source: str | None = None,
        targets: Sequence[str] | None = None,
        protocol: str = 'unnamed',
        changed: Sequence[str] = (),
        task: str | None = None,
        prefix: str | None = None,
        **kwargs: Any,
    ) -> None:
        prefix = prefix or task
        # the base class warns about an absent prefix; here it is absent on purpose
        super().__init__(prefix=prefix or 'none', **kwargs)
        self.prefix = prefix
        self.source = source
        self.targets = None if targets is None else tuple(targets)
        self.protocol = protocol
        self.changed = tuple(changed)
        self.of_task = task
        self.report: dict[str, Any] = {}

    @abstractmethod
    def summarise(self, measured: Sequence[Any]) -> dict[str, Any]:
        """Returns the scores of a domain, with all ``columns``; a score may be None.

        Args:
            measured: The measurements of the images of the domain.
        """

    @property
    def dataset_meta(self) -> dict[str, Any] | None:
        """Classes and palette, of the metric's task where there are several."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, meta: dict[str, Any] | None) -> None:
        tasks = (meta or {}).get('tasks') or {}
        self._dataset_meta = tasks.get(self.of_task, meta)

    def _classes(self) -> Sequence[str]:
        return (self.dataset_meta or {}).get('classes') or ()

    def compute_metrics(self, results: list[tuple[str, Any] | None]) -> dict[str, float]:
        """Returns ``DOMAIN/COLUMN`` of each domain, and ``mean/COLUMN``, the mean over targets."""
        measured: dict[str, list] = {}
        for domain, one in filter(None, results):
            measured.setdefault(domain, []).append(one)
        targets = self._targets(measured)
        order = [d for d in (self.source, *targets) if d in measured]
        order += sorted(set(measured) - set(order))
        domains = {
            name: {'images': len(measured[name]), **self.summarise(measured[name])}
            for name in order
        }
        mean = {key: _mean([domains[name][key] for name in targets]) for key in self.columns}
        self.report = {
            **({} if self.of_task is None else {'task': self.of_task}),
            'protocol': self.protocol,
            'changed': list(self.changed),
            'source': self.source if self.source in measured else None,
            'targets': list(targets),
            'domains': domains,
            'mean_over_targets': mean,
        }
        if self.fractions:
            self.report['fractions'] = list(self.fractions)
        if self.units:
            self.report['units'] = dict(self.units)
        print_log('\n' + domain_table(self.report), logger='current')
        flat = {f'{name}/{key}': domains[name][key] for name in order for key in self.columns}
        flat |= {f'mean/{key}': value for key, value in mean.items()}
        return {key: value for key, value in flat.items() if value is not None}

    def _targets(self, measured: Mapping[str, list]) -> tuple[str, ...]:
        if self.targets is None:
            return tuple(sorted(set(measured) - {self.source}))
        # validation on the source alone has no targets; any other test needs all of them
        there = tuple(name for name in self.targets if name in measured)
        if there and there != self.targets:
            raise UserError(
                f'protocol {self.protocol!r} averages over {list(self.targets)}, but only '
                f'{sorted(measured)} were tested: test all of them, or change the targets'
            )
        return there


def _mean(values: Sequence[float | None]) -> float | None:
    """Returns the mean, or None if there are no values or a value is None."""
    return None if not values or None in values else float(np.mean(values))


def metric_class(kind: str | type) -> Any:
    """Returns the class of a metric.

    Args:
        kind: Name or class, as in ``type`` of its config.

    Example:
        >>> from rein_seg.evaluation import metric_class
        >>> metric_class('DomainIoUMetric').columns
        ('mIoU', 'aAcc')
    """
    return METRICS.get(kind) if isinstance(kind, str) else kind


def find_domain_metric(evaluator: Any) -> Any | None:
    """Returns the config of an evaluator's first `ScoresByDomain`, or None without such a metric.

    Args:
        evaluator: Config of a metric, or a list of configs.

    Example:
        >>> from rein_seg.evaluation import find_domain_metric
        >>> find_domain_metric([dict(type='IoUMetric'), dict(type='DomainIoUMetric')])
        {'type': 'DomainIoUMetric'}
    """
    metrics = evaluator if isinstance(evaluator, (list, tuple)) else [evaluator]
    by_domain = (one for one in metrics if issubclass(metric_class(one['type']), ScoresByDomain))
    return next(by_domain, None)
