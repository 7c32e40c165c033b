"""Intersection over union of each class in each domain.

K classes; all scores in %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from mmseg.registry import METRICS

from rein_seg.errors import UserError
from rein_seg.evaluation.confusion import areas_of, confusion_matrix
from rein_seg.evaluation.domain_metric import DomainMetric


@METRICS.register_module()
class DomainIoUMetric(DomainMetric):
    """Computes mIoU, pixel accuracy and the IoU of each class, and their means over targets.

    A class that is predicted but never labelled in a domain has an IoU of 0, as in mmseg. Pixels
    are counted as integers, so the scores do not depend on the order of the images.

    Args:
        absent: How a class that is neither labelled nor predicted in a domain counts: ``skip``
            leaves it out of the mean, as in mmseg; ``zero`` counts it as 0, as in Conv-LoRA's code.
        **kwargs: As `DomainMetric`.

    Raises:
        UserError: As `DomainMetric`, or if ``absent`` is another word.

    Example:
        >>> import numpy as np
        >>> import torch
        >>> from rein_seg.evaluation import DomainIoUMetric
        >>> metric = DomainIoUMetric(source='gta')
        >>> metric.dataset_meta = dict(classes=('road', 'car', 'sky'))
        >>> sample = dict(pred_sem_seg=dict(data=torch.tensor([[[0, 1, 1, 2]]])))
        >>> measured = metric.measure(sample, np.array([[0, 0, 1, 255]]))
        >>> scores = metric.summarise([measured])
        >>> scores['mIoU'], scores['IoU']
        (50.0, {'road': 50.0, 'car': 50.0, 'sky': None})
    """

    columns = ('mIoU', 'aAcc')

    def __init__(self, *, absent: Literal['skip', 'zero'] = 'skip', **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if absent not in ('skip', 'zero'):
            raise UserError(f"DomainIoUMetric absent={absent!r}: expected 'skip' or 'zero'")
        self.absent = absent

    def measure(self, sample: Mapping[str, Any], label: np.ndarray) -> np.ndarray:
        """Returns the areas of an image, from `areas_of`."""
        return areas_of(self.confusion(sample, label), len(self.dataset_meta['classes']))

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
        ignore_index: Label of pixels that are not counted.

    Example:
        >>> import numpy as np
        >>> from rein_seg.evaluation.domain_iou import count_areas
        >>> count_areas(np.array([[0, 1, 1]]), np.array([[0, 0, 255]]), num_classes=2)
        array([[1, 0],
               [1, 1],
               [2, 0]])
    """
    return areas_of(confusion_matrix(pred, label, num_classes, ignore_index), num_classes)


def area_scores(
    counts: np.ndarray, classes: Sequence[str], *, absent: str = 'skip'
) -> dict[str, Any]:
    """Returns ``mIoU``, ``aAcc`` and ``IoU`` of each class, in %, from (3, K) areas.

    Args:
        counts: From `count_areas`, summed over images.
        classes: K names.
        absent: As in `DomainIoUMetric`.

    Example:
        >>> import numpy as np
        >>> from rein_seg.evaluation.domain_iou import area_scores
        >>> area_scores(np.array([[1, 2], [2, 2], [1, 3]]), ('road', 'car'))['mIoU'].__round__(2)
        58.33
    """
    intersection, predicted, labelled = counts.astype(np.float64)
    union = predicted + labelled - intersection
    # nan is left out of the mean
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
