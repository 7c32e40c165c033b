"""What every metric by domain shares: domains, their order, the mean over targets, the report."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmseg.registry import METRICS

from rein_seg.checkpoint import write_png
from rein_seg.errors import UserError
from rein_seg.evaluation.tables import domain_table


class DomainMetric(BaseMetric):
    """Scores for each domain, then the mean over targets.

    A subclass measures one image (`measure`) and makes the scores of a domain from what its images
    measured (`summarise`); it names the scores that are averaged and tabled (`columns`). After
    `compute_metrics` the whole report is in ``report`` (main process).

    Args:
        source: Name of the source domain; it is shown, and left out of the mean. None has none.
        targets: Domains of the mean, in the order of the table; None takes all others, sorted.
        protocol: Name of the protocol that the numbers are made under.
        changed: What is done otherwise than it says; it is printed beside the name.
        ignore_index: Label to leave out.
        output_dir: Folder for predictions, ``DOMAIN/NAME.png`` with class indexes; None for none.
        **kwargs: As mmengine's `BaseMetric`.

    Attributes:
        columns: Names of the scores in the table and in the mean, the main one first.
        fractions: Those of them that are 0..1; the others are in %.
        needs_scores: Whether samples must carry ``pred_scores``.

    Raises:
        UserError: If a sample has no domain, a named target got no sample, or a map and the label
            differ in size.
    """

    columns: tuple[str, ...] = ()
    fractions: tuple[str, ...] = ()
    needs_scores = False

    def __init__(
        self,
        *,
        source: str | None = None,
        targets: Sequence[str] | None = None,
        protocol: str = 'unnamed',
        changed: Sequence[str] = (),
        ignore_index: int = 255,
        output_dir: str | None = None,
        prefix: str | None = None,
        **kwargs: Any,
    ) -> None:
        # the base class warns about an absent prefix; here it is absent on purpose
        super().__init__(prefix=prefix or 'none', **kwargs)
        self.prefix = prefix
        self.source = source
        self.targets = None if targets is None else tuple(targets)
        self.protocol = protocol
        self.changed = tuple(changed)
        self.ignore_index = ignore_index
        self.output_dir = output_dir
        self._written: dict[str, str] = {}
        self.report: dict[str, Any] = {}

    @abstractmethod
    def measure(self, sample: Mapping[str, Any], label: np.ndarray) -> Any:
        """Returns what one image adds: small, for all ranks' are gathered.

        Args:
            sample: With ``pred_sem_seg`` and whatever else the model gives; see `read_map`.
            label: (H, W) class indexes and ignore_index.
        """

    @abstractmethod
    def summarise(self, measured: Sequence[Any]) -> dict[str, Any]:
        """Returns the scores of one domain, ``columns`` among them, None where there is none.

        Args:
            measured: What `measure` returned for its images.
        """

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Measures one batch; its samples may be of different domains."""
        for sample in data_samples:
            if 'domain' not in sample:
                raise UserError(
                    f'sample {sample.get("img_path")!r} carries no domain: end the test pipeline '
                    'with PackDomainInputs and use a DomainDataset'
                )
            label = sample['gt_sem_seg']['data'].squeeze(0).cpu().numpy()
            self.results.append((sample['domain'], self.measure(sample, label)))
            if self.output_dir is not None:
                pred = read_map(sample, 'pred_sem_seg', label.shape).astype(np.uint8)
                write_png(self._output_path(sample), pred)

    def _output_path(self, sample: dict) -> Path:
        """Returns DOMAIN/NAME.png, with the image's folder in it where names repeat in folders."""
        image = Path(sample['img_path'])
        path = Path(self.output_dir or '.') / sample['domain'] / f'{image.stem}.png'
        if self._written.setdefault(str(path), str(image)) == str(image):
            return path
        return path.with_name(f'{image.parent.name}_{image.stem}.png')

    def compute_metrics(self, results: list[tuple[str, Any]]) -> dict[str, float]:
        """Returns ``DOMAIN/COLUMN`` for each column, and the means over targets ``mean/COLUMN``."""
        measured: dict[str, list] = {}
        for domain, one in results:
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
            'protocol': self.protocol,
            'changed': list(self.changed),
            'source': self.source if self.source in measured else None,
            'targets': list(targets),
            'domains': domains,
            'mean_over_targets': mean,
        }
        if self.fractions:
            self.report['fractions'] = list(self.fractions)
        print_log('\n' + domain_table(self.report), logger='current')
        flat = {f'{name}/{key}': domains[name][key] for name in order for key in self.columns}
        flat |= {f'mean/{key}': value for key, value in mean.items()}
        return {key: value for key, value in flat.items() if value is not None}

    def _targets(self, measured: Mapping[str, list]) -> tuple[str, ...]:
        if self.targets is None:
            return tuple(sorted(set(measured) - {self.source}))
        # validation on the source alone has no targets; otherwise all must be there
        there = tuple(name for name in self.targets if name in measured)
        if there and there != self.targets:
            raise UserError(
                f'protocol {self.protocol!r} averages over {list(self.targets)}, but only '
                f'{sorted(measured)} were evaluated: the mean would be of something else'
            )
        return there


def _mean(values: Sequence[float | None]) -> float | None:
    """Returns the mean, None without values or where one is missing."""
    return None if not values or None in values else float(np.mean(values))


def read_map(sample: Mapping[str, Any], key: str, size: tuple[int, ...]) -> np.ndarray:
    """Returns the (H, W) map that a sample carries as (1, H, W).

    Raises:
        UserError: If it has not the label's size.
    """
    values = sample[key]['data'].squeeze(0)
    if tuple(values.shape) != size:
        what = 'prediction' if key == 'pred_sem_seg' else key
        raise UserError(
            f'sample {sample.get("img_path")!r}: the {what} is {tuple(values.shape)}, its label '
            f'{size} (height, width): load labels after the resize'
        )
    # numpy has no bfloat16
    return (values.float() if values.is_floating_point() else values).cpu().numpy()


def metric_class(cfg: Mapping[str, Any]) -> type:
    """Returns the class that a metric's config names."""
    return METRICS.get(cfg['type']) if isinstance(cfg['type'], str) else cfg['type']


def find_domain_metric(evaluator: Any) -> Any | None:
    """Returns the config of an evaluator's first `DomainMetric`, None where it has none.

    Args:
        evaluator: Config of a metric, or a list of them.
    """
    metrics = evaluator if isinstance(evaluator, (list, tuple)) else [evaluator]
    return next((cfg for cfg in metrics if issubclass(metric_class(cfg), DomainMetric)), None)
