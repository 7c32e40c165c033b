"""Scores of a map against a binary truth: S-measure, E-measure, weighted F, mean absolute error.

All functions take ``pred`` (H, W) float, 0..1; ``gt`` (H, W) bool, True for the foreground; and
``valid`` (H, W) bool, or None if all pixels are valid. Other pixels count as outside the image:
they enter no mean and have no neighbours. Scores are 0..1.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

EPS = np.spacing(1)
LEVELS = 256  # thresholds of the curves
_WINDOW = cv2.getGaussianKernel(7, 5, cv2.CV_64F)  # for the weighted F: side, sigma in pixels
_HALF_LIFE = 5  # pixels from the foreground at which a false alarm has the weight 1.5, not 1


def stretch(
    pred: np.ndarray, valid: np.ndarray | None = None, *, dtype: type = np.float32
) -> np.ndarray:
    """Stretches the valid pixels of a map to 0..1; a flat map stays unchanged.

    By default computed in float32, as in the published code: a value may lie exactly on a threshold
    of `e_curve`, so rounding matters.

    Example:
        >>> import numpy as np
        >>> from rein_seg.evaluation.saliency import stretch
        >>> stretch(np.array([[0.2, 0.3, 0.4]])).round(3).tolist()
        [[0.0, 0.5, 1.0]]
    """
    pred = pred.astype(dtype, copy=False)
    inside = _inside(pred, valid)
    if not inside.size or inside.min() == inside.max():
        return pred
    low, high = inside.min(), inside.max()
    return np.clip((pred - low) / (high - low), 0, 1)


def s_measure(
    pred: np.ndarray, gt: np.ndarray, valid: np.ndarray | None = None, *, alpha: float = 0.5
) -> float:
    """Computes the S-measure: alpha * object similarity + (1 - alpha) * region similarity.

    Without foreground it is 1 - mean(pred), without background mean(pred).

    Source: Fan et al., ICCV 2017.

    Example:
        >>> import numpy as np
        >>> from rein_seg.evaluation.saliency import s_measure
        >>> gt = np.zeros((8, 8), bool)
        >>> gt[2:5, 3:6] = True
        >>> round(s_measure(gt.astype(float), gt), 4), round(s_measure(np.full((8, 8), 0.5), gt), 4)
        (1.0, 0.4)
    """
    pred = pred.astype(np.float64, copy=False)
    inside, truth = _inside(pred, valid), _inside(gt, valid)
    share = truth.mean()
    if share in (0, 1):
        return float(inside.mean() if share else 1 - inside.mean())
    objects = share * _evenness(inside[truth]) + (1 - share) * _evenness(1 - inside[~truth])
    return float(max(0, alpha * objects + (1 - alpha) * _regions(pred, gt, valid)))


def _evenness(values: np.ndarray) -> float:
    """Returns a score of the values of an object: high if they are near 1 and equal."""
    mean, std = values.mean(), values.std(ddof=1) if values.size > 1 else 0.0
    return float(2 * mean / (mean**2 + 1 + std + EPS))


def _regions(pred: np.ndarray, gt: np.ndarray, valid: np.ndarray | None) -> float:
    """Returns the mean similarity of the quadrants around the foreground's centre, by area."""
    rows, columns = np.nonzero(gt if valid is None else gt & valid)
    y, x = round(rows.mean()) + 1, round(columns.mean()) + 1
    total, area = 0.0, 0
    for down in (slice(y), slice(y, None)):
        for across in (slice(x), slice(x, None)):
            part = None if valid is None else valid[down, across]
            values, truth = _inside(pred[down, across], part), _inside(gt[down, across], part)
            if values.size:
                total += values.size * _similarity(values, truth.astype(np.float64))
                area += values.size
    return total / area


def _similarity(x: np.ndarray, y: np.ndarray) -> float:
    """Returns the similarity of two sets of n pixels in mean, variance and covariance."""
    free = max(x.size - 1, 1)
    mean_x, mean_y = x.mean(), y.mean()
    x, y = x.ravel() - mean_x, y.ravel() - mean_y
    above = 4 * mean_x * mean_y * (x @ y) / free
    below = (mean_x**2 + mean_y**2) * (x @ x + y @ y) / free
    if above == 0:
        return 1.0 if below == 0 else 0.0
    return float(above / (below + EPS))


def e_curve(pred: np.ndarray, gt: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """Returns (256,) E-measures: alignment of ``pred`` >= t / 255 with the truth, t = 0..255.

    Source: Fan et al., IJCAI 2018.

    Example:
        >>> import numpy as np
        >>> from rein_seg.evaluation.saliency import e_curve
        >>> gt = np.arange(64).reshape(8, 8) < 16
        >>> curve = e_curve(np.where(gt, 0.8, 0.1), gt)
        >>> curve.shape, int(curve.argmax())
        ((256,), 26)
    """
    levels = (_inside(pred, valid) * (LEVELS - 1)).astype(np.uint8)
    truth = _inside(gt, valid)
    return _alignment(_at_least(levels[truth]), _at_least(levels), truth.sum(), truth.size)


def dice_curve(pred: np.ndarray, gt: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """Returns (256,) Dice scores of the pixels whose grey value is at least k, k = 0..255.

    Grey values are the map in 8 bits, rounded. A level without a right pixel scores 0, also where
    nothing is labelled. The IoU of a level follows from its Dice: IoU = Dice / (2 - Dice).

    Source: the evaluation of Fan et al., "PraNet" (MICCAI 2020). Differs from it: none known; its
    MATLAB code was not run.

    Example:
        >>> import numpy as np
        >>> from rein_seg.evaluation.saliency import dice_curve
        >>> curve = dice_curve(np.array([[0.0, 0.5, 1.0, 1.0]]), np.array([[0, 0, 1, 1]]) > 0)
        >>> curve[[0, 1, 128, 129, 255]].round(3).tolist()
        [0.667, 0.8, 0.8, 1.0, 1.0]
    """
    # integers: a value that lies on a threshold is not left to rounding
    levels = np.rint(_inside(pred, valid).astype(np.float64) * (LEVELS - 1)).astype(np.uint8)
    truth = _inside(gt, valid)
    hits, found = _at_least(levels[truth]), _at_least(levels)
    return np.where(hits > 0, 2 * hits / np.maximum(found + truth.sum(), 1), 0.0)


def _at_least(levels: np.ndarray) -> np.ndarray:
    """Returns (256,) numbers of values that are k or more."""
    return np.bincount(levels.ravel(), minlength=LEVELS)[::-1].cumsum()[::-1]


def e_adaptive(pred: np.ndarray, gt: np.ndarray, valid: np.ndarray | None = None) -> float:
    """Returns the E-measure at twice the map's mean as threshold, at most 1."""
    inside, truth = _inside(pred, valid), _inside(gt, valid)
    found = inside >= min(2 * inside.mean(dtype=np.float64), 1)
    return float(_alignment((found & truth).sum(), found.sum(), truth.sum(), truth.size))


def _alignment(
    hits: np.ndarray, found: np.ndarray, true: np.ndarray, pixels: np.ndarray
) -> np.ndarray:
    """Returns E-measures of binary maps from four counts of pixels.

    Args:
        hits: Pixels that are foreground in map and truth.
        found: Foreground pixels of the map.
        true: Foreground pixels of the truth.
        pixels: All pixels.
    """
    if true == 0:
        total = pixels - found
    elif true == pixels:
        total = found
    else:
        total = 0.0
        counts = {(1, 1): hits, (1, 0): found - hits, (0, 1): true - hits}
        counts[0, 0] = pixels - sum(counts.values())
        for (of_map, of_truth), count in counts.items():
            a, b = of_map - found / pixels, of_truth - true / pixels
            total = total + count * (2 * a * b / (a**2 + b**2 + EPS) + 1) ** 2 / 4
    return total / max(pixels - 1, 1)


def weighted_f(
    pred: np.ndarray, gt: np.ndarray, valid: np.ndarray | None = None, *, beta2: float = 0.3
) -> float:
    """Computes the F-measure with errors weighted by their place; 0 without foreground.

    Inside the foreground an error counts less if its surroundings have smaller errors. Outside, a
    false alarm counts more with its distance from the foreground, up to twice.

    Args:
        pred: (H, W) float, 0..1.
        gt: (H, W) bool.
        valid: (H, W) bool or None.
        beta2: Weight of recall, the square of beta.

    Source: Margolin et al., CVPR 2014, with beta2 1; Conv-LoRA's code has 0.3.

    Example:
        >>> import numpy as np
        >>> from rein_seg.evaluation.saliency import weighted_f
        >>> gt = np.zeros((16, 16), bool)
        >>> gt[4:9, 4:9] = True
        >>> round(weighted_f(gt.astype(float), gt), 4)
        1.0
    """
    truth = gt if valid is None else gt & valid
    if not truth.any():
        return 0.0
    error = np.abs(pred.astype(np.float64, copy=False) - gt)
    if valid is not None:
        error[~valid] = 0
    distance, (rows, columns) = distance_transform_edt(~truth, return_indices=True)
    # a pixel outside the foreground gets the error of the nearest foreground pixel
    spread = error[rows, columns]
    if valid is not None:
        spread[~valid] = 0
    spread = cv2.sepFilter2D(spread, -1, _WINDOW, _WINDOW, borderType=cv2.BORDER_CONSTANT)
    missed = np.minimum(error, spread)[truth]
    outside = ~truth
    alarms = error[outside] * (2 - np.exp2(-distance[outside] / _HALF_LIFE))
    recall, hits = 1 - missed.mean(), missed.size - missed.sum()
    precision = hits / (hits + alarms.sum() + EPS)
    return float((1 + beta2) * recall * precision / (recall + beta2 * precision + EPS))


def absolute_error(pred: np.ndarray, gt: np.ndarray, valid: np.ndarray | None = None) -> float:
    """Returns the mean of |pred - gt|.

    Example:
        >>> import numpy as np
        >>> from rein_seg.evaluation.saliency import absolute_error
        >>> absolute_error(np.array([[0.0, 0.5]]), np.array([[False, True]]))
        0.25
    """
    return float(np.abs(_inside(pred.astype(np.float64, copy=False) - gt, valid)).mean())


def _inside(values: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    return values if valid is None else values[valid]
