"""Which classes are taken for which.

K classes; rows of a matrix are labels, columns are predictions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


def confusion_matrix(
    pred: np.ndarray, label: np.ndarray, num_classes: int, ignore_index: int = 255
) -> np.ndarray:
    """Returns (M, M) int64: pixels of each label (row) with each prediction (column).

    Args:
        pred: (H, W) class indexes.
        label: (H, W) class indexes and ignore_index.
        num_classes: K. M is K, or more where pixels have an index of K or more.
        ignore_index: Label of pixels that are not counted.

    Example:
        >>> import numpy as np
        >>> from rein_seg.evaluation.confusion import confusion_matrix
        >>> confusion_matrix(np.array([[0, 1, 1]]), np.array([[0, 0, 255]]), num_classes=2)
        array([[1, 1],
               [0, 0]])
    """
    valid = label != ignore_index
    pred, label = pred[valid], label[valid]
    size = max(num_classes, int(pred.max(initial=0)) + 1, int(label.max(initial=0)) + 1)
    pairs = label.astype(np.intp) * size
    pairs += pred.astype(np.intp, copy=False)
    return np.bincount(pairs, minlength=size * size).reshape(size, size)


def areas_of(matrix: np.ndarray, num_classes: int) -> np.ndarray:
    """Returns (3, K) int64: intersection, predicted and labelled pixels of each class.

    Args:
        matrix: From `confusion_matrix`.
        num_classes: K.

    Example:
        >>> import numpy as np
        >>> from rein_seg.evaluation.confusion import areas_of
        >>> areas_of(np.array([[1, 1], [0, 0]]), 2).tolist()
        [[1, 0], [1, 1], [2, 0]]
    """
    areas = np.stack([matrix.diagonal(), matrix.sum(0), matrix.sum(1)])
    return areas[:, :num_classes]


class Confusion(NamedTuple):
    """A class that is taken for another.

    Attributes:
        label: Index of the true class.
        pred: Index of the predicted class.
        pixels: How many.
        share: Of the pixels of the true class, 0..1.
    """

    label: int
    pred: int
    pixels: int
    share: float


def top_confusions(matrix: np.ndarray | Sequence[Sequence[int]], count: int = 8) -> list[Confusion]:
    """Returns the confusions that cost most pixels, the largest first.

    Args:
        matrix: (K, K), rows are labels.
        count: How many, at most.

    Example:
        >>> from rein_seg.evaluation.confusion import top_confusions
        >>> top_confusions([[90, 10, 0], [30, 60, 10], [0, 0, 5]], 1)
        [Confusion(label=1, pred=0, pixels=30, share=0.3)]
    """
    wrong = np.array(matrix, np.int64)
    labelled = wrong.sum(1)
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind='stable')[:count]  # of equal ones the first
    found = []
    for label, pred in zip(*np.unravel_index(order, wrong.shape), strict=True):
        pixels = int(wrong[label, pred])
        if pixels:
            share = pixels / int(labelled[label])
            found.append(Confusion(int(label), int(pred), pixels, share))
    return found
