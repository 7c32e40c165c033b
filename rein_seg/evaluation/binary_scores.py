"""All scores of one image of a binary task, 0..1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rein_seg.evaluation.saliency import (
    absolute_error,
    e_adaptive,
    e_curve,
    s_measure,
    stretch,
    weighted_f,
)

# what can be asked for -> the scores of a domain that it makes
SCORES = {
    'S': ('S',),
    'E': ('E', 'E_max', 'E_adaptive'),
    'wF': ('wF',),
    'MAE': ('MAE',),
    'BER': ('BER',),
    'IoU': ('IoU_image', 'IoU_set'),
    'Dice': ('Dice_image', 'Dice_set'),
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
    """Returns S, E_curve (256,), E_adaptive, wF, MAE, BER, IoU_image and Dice_image.

    Args:
        scores: (H, W) foreground probabilities.
        gt: (H, W) bool, True for the foreground.
        valid: (H, W) bool, True for pixels that count, one at least; None for all.
        metrics: Keys of ``SCORES`` to compute.
        beta2: As of `weighted_f`.
        threshold: Of IoU and Dice: foreground is what is above.
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
    return result


def balanced_error(scores: np.ndarray, gt: np.ndarray, valid: np.ndarray | None = None) -> float:
    """Returns 1 - the mean accuracy of the classes that are there, at 125 / 255.

    Args:
        scores: As `image_scores`.
        gt: As `image_scores`.
        valid: As `image_scores`.
    """
    right = (scores * 255 > _BER_LEVEL) == gt
    if valid is not None:
        right, gt = right[valid], gt[valid]
    accuracies = [right[of_class].mean() for of_class in (gt, ~gt) if of_class.any()]
    return float(1 - np.mean(accuracies))


def overlap(name: str, both: int, predicted: int, labelled: int) -> float:
    """Returns IoU or Dice of the foreground; 1 where it is neither labelled nor predicted.

    Args:
        name: IoU or Dice.
        both: Foreground pixels of prediction and label alike.
        predicted: Foreground pixels of the prediction.
        labelled: Foreground pixels of the label.
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
