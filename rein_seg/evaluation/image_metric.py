"""The base of metrics of whole images by domain.

K classes, D width of an embedding.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from rein_seg.errors import UserError
from rein_seg.evaluation.by_domain import ScoresByDomain
from rein_seg.evaluation.details import DomainDetails
from rein_seg.evaluation.image_details import Guess, details_of_images


class ImageMetric(ScoresByDomain):
    """Computes scores of whole images for each domain, then their mean over the target domains.

    A subclass measures each image (`measure`), summarises the measurements of a domain in scores
    (`summarise`), and names the scores that are averaged and printed (``columns``).

    Args:
        **kwargs: As `ScoresByDomain`.

    Attributes:
        image_score_name: Name of the score of an image, for readers.
        details: Facts about each domain beside its scores, after `evaluate` (main process); empty
            for a metric without `guess`.
        reads: Field of a sample that it reads: ``pred_score`` of a classifier, or ``embedding``.

    Raises:
        UserError: If a sample has no domain, no label, or not the field that the metric reads.

    Example:
        >>> import torch
        >>> from rein_seg.evaluation import ImageMetric
        >>> class Confidence(ImageMetric):
        ...     columns = ('confidence',)
        ...     def measure(self, sample, label):
        ...         return 100 * float(sample['pred_score'][label])
        ...     def summarise(self, measured):
        ...         return {'confidence': sum(measured) / len(measured)}
        >>> metric = Confidence()
        >>> sample = dict(domain='own', gt_label=torch.tensor([1]), pred_score=torch.eye(2)[1])
        >>> metric.process(None, [sample])
        >>> metric.results
        [('own', 100.0)]
    """

    task = 'images'
    reads: str = 'pred_score'
    image_score_name = 'probability of the label'

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.details: dict[str, DomainDetails] = {}
        self._guesses: list[Guess] = []

    @abstractmethod
    def measure(self, sample: Mapping[str, Any], label: int) -> Any:
        """Returns the statistics of an image. Keep them small: they are gathered from all ranks.

        Args:
            sample: With the field of ``reads``: (K,) probabilities or a (D,) embedding.
            label: Class index.
        """

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Measures a batch. Its samples may belong to different domains."""
        for sample in data_samples:
            self._check(sample)
            label = int(sample['gt_label'])
            self.results.append((sample['domain'], self.measure(sample, label)))
            guess = self.guess(sample, label)
            if guess is not None:
                self._guesses.append(guess)

    def guess(self, sample: Mapping[str, Any], label: int) -> Guess | None:
        """Returns the classification of an image for the report, None for other metrics.

        Args:
            sample: As for `measure`.
            label: Class index.
        """
        return None

    def evaluate(self, size: int) -> dict:
        """Returns the metrics of all ranks; see mmengine's `BaseMetric.evaluate`."""
        guesses, self._guesses = self._guesses, []
        self.details = details_of_images(guesses, size, len(self._classes()), self.collect_device)
        return super().evaluate(size)

    def _check(self, sample: Mapping[str, Any]) -> None:
        name = f'sample {sample.get("img_path")!r}'
        if 'domain' not in sample or 'gt_label' not in sample:
            raise UserError(
                f'{name} carries no {"label" if "domain" in sample else "domain"}: end the test '
                'pipeline with PackImageInputs and use an ImageFolderDataset or another '
                'ImageDataset'
            )
        if self.reads not in sample:
            other = 'a retrieval head' if self.reads == 'embedding' else 'a head that classifies'
            raise UserError(
                f'{name} carries no {self.reads!r}, which {type(self).__name__} reads: expected '
                f'{other}; take one, or another metric'
            )
