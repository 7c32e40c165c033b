"""IoU of seen and of unseen classes in each domain.

K classes; all scores in %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmseg.registry import METRICS

from rein_seg.datasets.unseen import class_indexes, seen_classes
from rein_seg.errors import UserError
from rein_seg.evaluation.domain_iou import DomainIoUMetric
from rein_seg.evaluation.domain_metric import read_map


@METRICS.register_module()
class SeenUnseenIoU(DomainIoUMetric):
    """Computes the mean IoU of the seen and of the unseen classes, and their harmonic mean.

    The table has these columns, in %, of each domain and as means over targets:

    - ``hIoU``: 2 S U / (S + U); 0 if both are 0.
    - ``S``, ``U``: mean IoU of the classes that training labels, and of the others.
    - ``pAcc``: share of the labelled pixels that are right.
    - ``mIoU``: mean IoU of all classes.

    A class that is neither labelled nor predicted in a domain is left out of the means; a class
    that is predicted but never labelled counts 0. Without a class in one of the two means, that
    mean and ``hIoU`` are empty.

    Args:
        unseen: Names or indexes of the unseen classes; a run fills in the benchmark's.
        compact: Whether predictions are indexes of the seen classes alone (`KeepSeenLabels` with
            ``compact``): they are mapped back, and U is 0 by construction.
        **kwargs: As `DomainIoUMetric`.

    Raises:
        UserError: As `DomainIoUMetric`, or if ``unseen`` is empty, names no class, a class twice or
            all classes, or a prediction is none of the seen classes.

    Source: Xian et al., "Semantic Projection Network" (CVPR 2019), as ZegCLIP (CVPR 2023) reports
    it. Differs from it: scores in %; by domain.

    Example:
        >>> import numpy as np
        >>> import torch
        >>> from rein_seg.evaluation import SeenUnseenIoU
        >>> metric = SeenUnseenIoU(unseen=['sky'], source='gta')
        >>> metric.dataset_meta = dict(classes=('road', 'car', 'sky'))
        >>> sample = dict(pred_sem_seg=dict(data=torch.tensor([[[0, 1, 1, 2]]])))
        >>> scores = metric.summarise([metric.measure(sample, np.array([[0, 0, 1, 2]]))])
        >>> {name: round(scores[name], 2) for name in metric.columns}
        {'hIoU': 66.67, 'S': 50.0, 'U': 100.0, 'pAcc': 75.0, 'mIoU': 66.67}
    """

    columns = ('hIoU', 'S', 'U', 'pAcc', 'mIoU')

    def __init__(
        self, *, unseen: Sequence[str | int] = (), compact: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not unseen or isinstance(unseen, str):
            raise UserError(
                f'SeenUnseenIoU unseen={unseen!r}: expected the names of the classes that training '
                'never labels; name them in benchmark.unseen, or score with DomainIoUMetric'
            )
        self.unseen, self.compact = tuple(unseen), compact

    @property
    def groups(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Indexes of the seen and of the unseen classes of the data set."""
        classes = self.dataset_meta['classes']
        unseen = class_indexes(self.unseen, classes, 'SeenUnseenIoU.unseen')
        return seen_classes(unseen, len(classes)), unseen

    def class_map(self, sample: Mapping[str, Any], size: tuple[int, ...]) -> np.ndarray:
        """Returns the (H, W) predicted class indexes, among all K."""
        pred = read_map(sample, 'pred_sem_seg', size)
        if not self.compact:
            return pred
        seen = self.groups[0]
        if pred.max(initial=0) >= len(seen):
            raise UserError(
                f'sample {sample.get("img_path")!r}: the prediction holds the class {pred.max()}, '
                f'expected 0 to {len(seen) - 1}, the seen classes of compact=True; leave it out '
                'for a model of all classes'
            )
        return np.array(seen)[pred]

    def compute_metrics(self, results: list[tuple[str, Any]]) -> dict[str, float]:
        """Returns the scores as `DomainMetric` does; ``report`` names the unseen classes, too."""
        scores = super().compute_metrics(results)
        classes = self.dataset_meta['classes']
        self.report['unseen'] = [classes[i] for i in self.groups[1]]
        return scores

    def summarise(self, measured: Sequence[np.ndarray]) -> dict[str, Any]:
        """Returns the scores of one domain."""
        scores = super().summarise(measured)
        iou = list(scores['IoU'].values())
        seen, unseen = (mean_of([iou[i] for i in group]) for group in self.groups)
        accuracy = scores.pop('aAcc')
        return {
            'hIoU': harmonic_mean(seen, unseen),
            'S': seen,
            'U': unseen,
            'pAcc': accuracy,
            **scores,
        }


def harmonic_mean(seen: float | None, unseen: float | None) -> float | None:
    """Returns 2 S U / (S + U), 0 if both are 0, None if one is missing.

    Example:
        >>> from rein_seg.evaluation.seen_unseen import harmonic_mean
        >>> harmonic_mean(60.0, 30.0), harmonic_mean(0.0, 0.0), harmonic_mean(60.0, None)
        (40.0, 0.0, None)
    """
    if seen is None or unseen is None:
        return None
    return 2 * seen * unseen / (seen + unseen) if seen + unseen else 0.0


def mean_of(values: Sequence[float | None]) -> float | None:
    """Returns the mean of the scores that are there, None without any.

    Example:
        >>> from rein_seg.evaluation.seen_unseen import mean_of
        >>> mean_of([40.0, None, 20.0]), mean_of([None])
        (30.0, None)
    """
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None
