"""Facts about a test of whole images beside its scores: confusions, calibration, pictures.

K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from mmengine import dist

from rein_seg.evaluation.calibration import count_bins
from rein_seg.evaluation.details import KEPT, DomainDetails, Picture


@dataclass(frozen=True)
class Guess:
    """The classification of an image.

    Attributes:
        domain: Of the image.
        path: Of the image.
        label: Its class index.
        pred: Predicted class index.
        confidence: Probability of the prediction.
        truth: Probability of the label.
        about: Fields that reading the image needs.
    """

    domain: str
    path: str
    label: int
    pred: int
    confidence: float
    truth: float
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def picture(self) -> Picture:
        """The image for a report; its score is the probability of the label in %."""
        return Picture(self.path, 100 * self.truth, self.label, self.pred, self.about)


def details_of_images(
    guesses: Sequence[Guess], size: int, num_classes: int, device: str = 'cpu'
) -> dict[str, DomainDetails]:
    """Returns the facts of each domain, of the images of all ranks (main process).

    Args:
        guesses: Of the images of this rank.
        size: Number of images; further entries repeat images, so that ranks have equally many.
        num_classes: K.
        device: Of the exchange between ranks.

    Example:
        >>> from rein_seg.evaluation.image_details import Guess, details_of_images
        >>> guesses = [Guess('fog', 'a.png', 0, 1, confidence=0.9, truth=0.1)]
        >>> found = details_of_images(guesses, 1, num_classes=2)['fog']
        >>> found.confusion.tolist(), found.scores
        ([[0, 1], [0, 0]], {'a.png': 10.0})
    """
    every = dist.collect_results(list(guesses), size, device)
    if every is None:  # not the main process
        return {}
    domains = dict.fromkeys(one.domain for one in every)
    return {
        name: _domain([one for one in every if one.domain == name], num_classes) for name in domains
    }


def _domain(guesses: Sequence[Guess], num_classes: int) -> DomainDetails:
    confusion = np.zeros((num_classes, num_classes), np.int64)
    for one in guesses:
        confusion[one.label, one.pred] += 1
    confidence = np.array([one.confidence for one in guesses])
    right = np.array([one.label == one.pred for one in guesses])
    # of equal scores the first name comes first
    order = sorted(guesses, key=lambda one: (one.truth, one.path))
    worst = order[:KEPT]
    best = sorted(order[len(worst) :], key=lambda one: (-one.truth, one.path))[:KEPT]
    return DomainDetails(
        confusion=confusion,
        bins=count_bins(confidence, right),
        scores={one.path: 100 * one.truth for one in guesses},
        worst=[one.picture for one in worst],
        best=[one.picture for one in best],
        first=guesses[0].picture,
    )
