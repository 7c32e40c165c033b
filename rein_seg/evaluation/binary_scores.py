"""Scores of an image of a binary task, 0..1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rein_seg.evaluation.saliency import (
    absolute_error,
    dice_curve,
    e_adaptive,
    e_curve,
    s_measure,
    stretch,
    weighted_f,
)

# name in ``metrics`` -> the columns of a domain that it gives
SCORES = {
    'S': ('S',),
    'E': ('E', 'E_max', 'E_adaptive'),
    'wF': ('wF',),
    'MAE': ('MAE',),
    'BER': ('BER',),
    'IoU': ('IoU_image', 'IoU_set'),
    'Dice': ('Dice_image', 'Dice_set'),
    'Dice_curve': ('Dice_curve', 'Dice_max'),
    'IoU_curve': ('IoU_curve', 'IoU_max'),
}
_BER_LEVEL = 125  # of 255


def image_scores(
    scores: np.ndarray,
    gt: np.ndarray,
    valid: np.ndarray | None = None,
    *,
    metrics: Sequence[str] = tuple(SCORES),
    beta2: float = 0.3,
    threshold: float = 0.5,
) -> dict[str, Any]:
    """Returns the requested scores of an image, by name; of curves (256,) values.

    Args:
        scores: (H, W) foreground probabilities.
        gt: (H, W) bool, True for the foreground.
        valid: (H, W) bool, True for pixels that count, at least one; None counts all.
        metrics: Keys of ``SCORES`` to compute.
        beta2: As in `weighted_f`.
        threshold: For IoU and Dice: scores above it are foreground.

    Example:
        >>> import numpy as np
        >>> from rein_seg.evaluation.binary_scores import image_scores
        >>> scores, gt = np.array([[0.1, 0.9, 0.8, 0.2]]), np.array([[False, True, True, True]])
        >>> found = image_scores(scores, gt, metrics=('IoU', 'Dice'))
        >>> {name: round(value, 3) for name, value in found.items()}
        {'IoU_image': 0.667, 'Dice_image': 0.8}
    """
    pred, result = stretch(scores, valid), {}
    if 'S' in metrics:
        result['S'] = s_measure(pred, gt, valid)
    if 'E' in metrics:
        result['E_curve'] = e_curve(pred, gt, valid)
        result['E_adaptive'] = e_adaptive(pred, gt, valid)
    if 'wF' in metrics:
        result['wF'] = weighted_f(pred, gt, valid, beta2=beta2)
    if 'MAE' in metrics:
        result['MAE'] = absolute_error(pred, gt, valid)
    if 'BER' in metrics:
        result['BER'] = balanced_error(scores, gt, valid)
    for name in ('IoU', 'Dice'):
        if name in metrics:
            result[f'{name}_image'] = overlap(name, *_areas(scores > threshold, gt, valid))
    if {'Dice_curve', 'IoU_curve'} & set(metrics):
        levels = dice_curve(stretch(scores, valid, dtype=np.float64), gt, valid)
        result['dice_levels'] = levels.astype(np.float32)  # results of all images are gathered
    return result


def balanced_error(scores: np.ndarray, gt: np.ndarray, valid: np.ndarray | None = None) -> float:
    """Returns 1 minus the mean accuracy of the classes in the label, at threshold 125 / 255.

    Args:
        scores: As in `image_scores`.
        gt: As in `image_scores`.
        valid: As in `image_scores`.

    Example:
        >>> import numpy as np
        >>> from rein_seg.evaluation.binary_scores import balanced_error
        >>> balanced_error(np.array([0.9, 0.1, 0.1, 0.1]), np.array([True, True, False, False]))
        0.25
    """
    right = (scores * 255 > _BER_LEVEL) == gt
    if valid is not None:
        right, gt = right[valid], gt[valid]
    accuracies = [right[of_class].mean() for of_class in (gt, ~gt) if of_class.any()]
    return float(1 - np.mean(accuracies))


def overlap(name: str, both: int, predicted: int, labelled: int) -> float:
    """Returns IoU or Dice of the foreground; 1 if it is neither labelled nor predicted.

    Args:
        name: IoU or Dice.
        both: Pixels that are foreground in prediction and label.
        predicted: Foreground pixels of the prediction.
        labelled: Foreground pixels of the label.

    Example:
        >>> from rein_seg.evaluation.binary_scores import overlap
        >>> overlap('IoU', both=2, predicted=3, labelled=3), overlap('Dice', 0, 0, 0)
        (0.5, 1.0)
    """
    if predicted + labelled == 0:
        return 1.0
    if name == 'Dice':
        return 2 * both / (predicted + labelled)
    return both / (predicted + labelled - both)


def _areas(pred: np.ndarray, gt: np.ndarray, valid: np.ndarray | None) -> tuple[int, ...]:
    if valid is not None:
        pred, gt = pred & valid, gt & valid
    return tuple(int(np.count_nonzero(area)) for area in (pred & gt, pred, gt))
