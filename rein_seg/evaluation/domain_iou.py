"""Intersection over union, domain by domain.

K classes; all scores in %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from mmseg.registry import METRICS

from rein_seg.errors import UserError
from rein_seg.evaluation.domain_metric import DomainMetric, read_map


@METRICS.register_module()
class DomainIoUMetric(DomainMetric):
    """mIoU, pixel accuracy and IoU of each class, for each domain, then the mean over targets.

    A class that is neither labelled nor predicted in a domain does not count there; one that is
    predicted but never labelled counts as 0, as in mmseg. Counts are exact integers.

    Args:
        absent: What a class counts that is neither labelled nor predicted: ``skip`` leaves it out,
            ``zero`` counts it as 0, as Conv-LoRA's code does.
        **kwargs: As `DomainMetric`.

    Raises:
        UserError: As `DomainMetric`, or if ``absent`` is neither of the two.
    """

    columns = ('mIoU', 'aAcc')

    def __init__(self, *, absent: Literal['skip', 'zero'] = 'skip', **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if absent not in ('skip', 'zero'):
            raise UserError(f"DomainIoUMetric absent={absent!r}: expected 'skip' or 'zero'")
        self.absent = absent

    def measure(self, sample: Mapping[str, Any], label: np.ndarray) -> np.ndarray:
        """Returns the areas of an image, as `count_areas`."""
        pred = read_map(sample, 'pred_sem_seg', label.shape)
        return count_areas(pred, label, len(self.dataset_meta['classes']), self.ignore_index)

    def summarise(self, measured: Sequence[np.ndarray]) -> dict[str, Any]:
        """Returns the scores of one domain."""
        return area_scores(sum(measured), self.dataset_meta['classes'], absent=self.absent)


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


def area_scores(
    counts: np.ndarray, classes: Sequence[str], *, absent: str = 'skip'
) -> dict[str, Any]:
    """Returns ``mIoU``, ``aAcc`` and ``IoU`` of each class, in %, from (3, K) areas.

    Args:
        counts: As `count_areas`, summed over images.
        classes: K names.
        absent: As `DomainIoUMetric`.
    """
    intersection, predicted, labelled = counts.astype(np.float64)
    union = predicted + labelled - intersection
    missing = np.full_like(union, np.nan if absent == 'skip' else 0.0)
    iou = np.divide(intersection, union, out=missing, where=union > 0) * 100
    total = labelled.sum()
    return {
        'mIoU': float(np.nanmean(iou)) if union.any() else None,
        'aAcc': float(intersection.sum() / total * 100) if total else None,
        'IoU': {
            name: None if np.isnan(value) else float(value)
            for name, value in zip(classes, iou, strict=True)
        },
    }
