"""Recall@K of image retrieval, by domain.

D width of an embedding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from mmseg.registry import METRICS

from rein_seg.errors import UserError
from rein_seg.evaluation.image_metric import ImageMetric
from rein_seg.evaluation.recall import recall_at_k
from rein_seg.rules import Count, fits

_Measured = tuple[int, np.ndarray]
RECALL_KS = (1, 2, 4, 8)  # as papers have them


@METRICS.register_module()
class RecallAtK(ImageMetric):
    """Computes the share of images whose class is among their K nearest other images, in %.

    Every image of a domain is a query, and all others of the domain are its gallery; see
    `recall_at_k`. Scores are rounded to two digits, as papers do. Images of a domain are compared
    in the order of the data set, whatever the number of processes.

    Args:
        ks: Values of K, each a column ``R@K``.
        leave_out: As `recall_at_k`.
        **kwargs: As `ImageMetric`.

    Raises:
        UserError: As `ImageMetric` and `recall_at_k`, or if ``ks`` are not whole numbers from 1, or
            ``leave_out`` is another word.

    Example:
        >>> import torch
        >>> from rein_seg.evaluation import RecallAtK
        >>> metric = RecallAtK(ks=(1, 2))
        >>> points = [[1.0, 0.0], [0.9, 0.1], [0.8, 0.3]]
        >>> samples = [dict(embedding=torch.tensor(point)) for point in points]
        >>> measured = [metric.measure(one, k) for one, k in zip(samples, (0, 1, 0))]
        >>> metric.summarise(measured)
        {'R@1': 0.0, 'R@2': 66.67}
    """

    reads = 'embedding'

    def __init__(
        self,
        *,
        ks: Sequence[int] = RECALL_KS,
        leave_out: Literal['query', 'nearest'] = 'query',
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not ks or not fits(ks, Sequence[Count]):
            raise UserError(f'RecallAtK ks={ks!r}: expected whole numbers, at least 1; give (1, 2)')
        if leave_out not in ('query', 'nearest'):
            raise UserError(f"RecallAtK leave_out={leave_out!r}: expected 'query' or 'nearest'")
        self.ks, self.leave_out = tuple(dict.fromkeys(ks)), leave_out
        self.columns = tuple(f'R@{k}' for k in self.ks)

    def measure(self, sample: Mapping[str, Any], label: int) -> _Measured:
        """Returns the class of an image and its (D,) float32 embedding."""
        return label, sample['embedding'].float().cpu().numpy()

    def summarise(self, measured: Sequence[_Measured]) -> dict[str, Any]:
        """Returns the scores of one domain."""
        labels = torch.tensor([label for label, _ in measured])
        embeddings = torch.from_numpy(np.stack([embedding for _, embedding in measured]))
        found = recall_at_k(embeddings, labels, self.ks, leave_out=self.leave_out)
        return {name: round(score, 2) for name, score in zip(self.columns, found, strict=True)}
