"""Accuracy of classifications of whole images, by domain.

K classes; all scores in %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from mmseg.registry import METRICS

from rein_seg.evaluation.image_details import Guess
from rein_seg.evaluation.image_metric import ImageMetric

_TOP = 5


class _Rank(NamedTuple):
    label: int
    predicted: int
    rank: int  # classes with a higher probability than the label


@METRICS.register_module()
class ImageAccuracy(ImageMetric):
    """Computes top-1 accuracy, top-5 accuracy of more than 5 classes, and accuracy by class.

    ``mean_class`` is the mean of the accuracies of the classes that a domain has: the score of
    Caltech101, Flowers102, Oxford-IIIT Pets and FGVC Aircraft in CLIP's paper. Of two classes with
    equal probability the first counts as the higher.

    Args:
        **kwargs: As `ImageMetric`.

    Raises:
        UserError: As `ImageMetric`.

    Example:
        >>> import torch
        >>> from rein_seg.evaluation import ImageAccuracy
        >>> metric = ImageAccuracy()
        >>> metric.dataset_meta = dict(classes=('car', 'van'))
        >>> sample = dict(pred_score=torch.tensor([0.9, 0.1]))
        >>> measured = [metric.measure(sample, label) for label in (0, 0, 1)]
        >>> metric.summarise(measured)['mean_class'], metric.columns
        (50.0, ('top1', 'mean_class'))
    """

    @property
    def columns(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names of the scores; top5 where there are more than 5 classes."""
        top5 = ('top5',) if len(self._classes()) > _TOP else ()
        return ('top1', *top5, 'mean_class')

    def measure(self, sample: Mapping[str, Any], label: int) -> _Rank:
        """Returns label, prediction and the rank of the label, from 0."""
        scores = sample['pred_score'].float().cpu().numpy()
        order = np.argsort(-scores, kind='stable')
        return _Rank(label, int(order[0]), int(np.flatnonzero(order == label)[0]))

    def guess(self, sample: Mapping[str, Any], label: int) -> Guess:
        """Returns prediction and probabilities of an image."""
        scores = sample['pred_score'].float().cpu().numpy()
        pred = int(scores.argmax())
        about = {key: sample.get(key) for key in ('max_value', 'orientation')}
        path, domain = str(sample.get('img_path')), sample['domain']
        return Guess(domain, path, label, pred, float(scores[pred]), float(scores[label]), about)

    def summarise(self, measured: Sequence[_Rank]) -> dict[str, Any]:
        """Returns the scores of one domain, and ``accuracy`` of each class."""
        labels, predicted, ranks = np.array(measured).T
        by_class = {
            name: 100 * float((predicted[labels == k] == k).mean()) if k in labels else None
            for k, name in enumerate(self._classes())
        }
        scores = {'top1': 100 * float((ranks == 0).mean())}
        if 'top5' in self.columns:
            scores['top5'] = 100 * float((ranks < _TOP).mean())
        there = [value for value in by_class.values() if value is not None]
        return {**scores, 'mean_class': float(np.mean(there)), 'accuracy': by_class}
