"""Intersection over union, domain by domain.

K classes; all scores in %.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmseg.registry import METRICS

from rein_seg.checkpoint import atomic_path
from rein_seg.errors import UserError
from rein_seg.evaluation.tables import domain_table


@METRICS.register_module()
class DomainIoUMetric(BaseMetric):
    """mIoU, pixel accuracy and IoU of each class, for each domain, then the mean over targets.

    A class that is neither labelled nor predicted in a domain does not count there; one that is
    predicted but never labelled counts as 0, as in mmseg. Counts are exact integers. After
    `compute_metrics` the whole report is in ``report`` (main process).

    Args:
        source: Name of the source domain; it is shown, and left out of the mean. None has none.
        targets: Domains of the mean, in the order of the table; None takes all others, sorted.
        protocol: Name of the protocol that the numbers are made under.
        ignore_index: Label to leave out.
        output_dir: Folder for predictions, ``DOMAIN/NAME.png`` with class indexes; None for none.
        **kwargs: As mmengine's `BaseMetric`.

    Raises:
        UserError: If a sample has no domain, a named target got no sample, or prediction and label
            differ in size.
    """

    def __init__(
        self,
        *,
        source: str | None = None,
        targets: Sequence[str] | None = None,
        protocol: str = 'unnamed',
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
        self.ignore_index = ignore_index
        self.output_dir = output_dir
        self._written: dict[str, str] = {}
        self.report: dict[str, Any] = {}

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Counts one batch; its samples may be of different domains."""
        num_classes = len(self.dataset_meta['classes'])
        for sample in data_samples:
            if 'domain' not in sample:
                raise UserError(
                    f'sample {sample.get("img_path")!r} carries no domain: end the test pipeline '
                    'with PackDomainInputs and use a DomainDataset'
                )
            pred = sample['pred_sem_seg']['data'].squeeze(0).cpu().numpy()
            label = sample['gt_sem_seg']['data'].squeeze(0).cpu().numpy()
            if pred.shape != label.shape:
                raise UserError(
                    f'sample {sample.get("img_path")!r}: the prediction is {pred.shape}, its label '
                    f'{label.shape} (height, width): load labels after the resize'
                )
            counts = count_areas(pred, label, num_classes, self.ignore_index)
            self.results.append((sample['domain'], counts))
            if self.output_dir is not None:
                with atomic_path(self._output_path(sample)) as temporary:
                    temporary.write_bytes(cv2.imencode('.png', pred.astype(np.uint8))[1].tobytes())

    def _output_path(self, sample: dict) -> Path:
        """Returns DOMAIN/NAME.png, with the image's folder in it where names repeat in folders."""
        image = Path(sample['img_path'])
        path = Path(self.output_dir or '.') / sample['domain'] / f'{image.stem}.png'
        if self._written.setdefault(str(path), str(image)) == str(image):
            return path
        return path.with_name(f'{image.parent.name}_{image.stem}.png')

    def compute_metrics(self, results: list[tuple[str, np.ndarray]]) -> dict[str, float]:
        """Returns ``DOMAIN/mIoU``, ``DOMAIN/aAcc`` and their means over targets ``mean/...``."""
        sums: dict[str, np.ndarray] = {}
        images: dict[str, int] = {}
        for domain, counts in results:
            sums[domain] = sums.get(domain, 0) + counts
            images[domain] = images.get(domain, 0) + 1
        targets = self._targets(sums)
        classes = self.dataset_meta['classes']
        order = [d for d in (self.source, *targets) if d in sums]
        order += sorted(set(sums) - set(order))
        domains = {name: {'images': images[name], **_scores(sums[name], classes)} for name in order}
        mean = {key: _mean([domains[name][key] for name in targets]) for key in ('mIoU', 'aAcc')}
        self.report = {
            'protocol': self.protocol,
            'source': self.source if self.source in sums else None,
            'targets': list(targets),
            'domains': domains,
            'mean_over_targets': mean,
        }
        print_log('\n' + domain_table(self.report), logger='current')
        flat = {f'{name}/{key}': domains[name][key] for name in order for key in ('mIoU', 'aAcc')}
        flat |= {f'mean/{key}': value for key, value in mean.items()}
        return {key: value for key, value in flat.items() if value is not None}

    def _targets(self, sums: dict[str, np.ndarray]) -> tuple[str, ...]:
        if self.targets is None:
            return tuple(sorted(set(sums) - {self.source}))
        # validation on the source alone has no targets; otherwise all must be there
        there = tuple(name for name in self.targets if name in sums)
        if there and there != self.targets:
            raise UserError(
                f'protocol {self.protocol!r} averages over {list(self.targets)}, but only '
                f'{sorted(sums)} were evaluated: the mean would be of something else'
            )
        return there


def _mean(values: Sequence[float | None]) -> float | None:
    """Returns the mean, None without values or where one is missing."""
    return None if not values or None in values else float(np.mean(values))


def count_areas(
    pred: np.ndarray, label: np.ndarray, num_classes: int, ignore_index: int = 255
) -> np.ndarray:
    """Returns (3, K) int64: intersection, predicted and labelled pixels of each class.

    Args:
        pred: (H, W) class indexes.
        label: (H, W) class indexes and ignore_index.
        num_classes: K.
        ignore_index: Label to leave out.
    """
    valid = label != ignore_index
    pred, label = pred[valid], label[valid]
    counted = (label[pred == label], pred, label)
    return np.stack([np.bincount(ids, minlength=num_classes)[:num_classes] for ids in counted])


def _scores(counts: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    intersection, predicted, labelled = counts.astype(np.float64)
    union = predicted + labelled - intersection
    iou = np.divide(intersection, union, out=np.full_like(union, np.nan), where=union > 0) * 100
    total = labelled.sum()
    return {
        'mIoU': float(np.nanmean(iou)) if np.isfinite(iou).any() else None,
        'aAcc': float(intersection.sum() / total * 100) if total else None,
        'IoU': {
            name: None if np.isnan(value) else float(value)
            for name, value in zip(classes, iou, strict=True)
        },
    }
