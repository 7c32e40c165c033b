"""Scores of a map against a binary truth: S-measure, E-measure, weighted F, mean absolute error.

Every function takes ``pred`` (H, W) float, 0..1; ``gt`` (H, W) bool, True for the foreground; and
``valid`` (H, W) bool, None for all. Pixels that are not valid are as if outside of the image: they
enter no mean, and are neighbours of none. Scores are 0..1.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

EPS = np.spacing(1)
LEVELS = 256  # thresholds of the E-measure's curve
_WINDOW = cv2.getGaussianKernel(7, 5, cv2.CV_64F)  # of the weighted F: side and sigma in pixels
_HALF_LIFE = 5  # pixels from the foreground in which a false alarm's weight goes from 1 to 1.5


def stretch(pred: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """Returns the map with its valid pixels moved to 0..1, min to max; a flat map as it is.

    In float32: the thresholds of `e_curve` may lie exactly on a value, so the rounding counts.
    """
    pred = pred.astype(np.float32, copy=False)
    inside = _inside(pred, valid)
    if not inside.size or inside.min() == inside.max():
        return pred
    low, high = inside.min(), inside.max()
    return np.clip((pred - low) / (high - low), 0, 1)


def s_measure(
    pred: np.ndarray, gt: np.ndarray, valid: np.ndarray | None = None, *, alpha: float = 0.5
) -> float:
    """Structure: alpha * similarity by object + (1 - alpha) * similarity by region.

    Without foreground it is 1 - mean(pred), without background mean(pred).

    Source: Fan et al., ICCV 2017.
    """
    pred = pred.astype(np.float64, copy=False)
    inside, truth = _inside(pred, valid), _inside(gt, valid)
    share = truth.mean()
    if share in (0, 1):
        return float(inside.mean() if share else 1 - inside.mean())
    objects = share * _evenness(inside[truth]) + (1 - share) * _evenness(1 - inside[~truth])
    return float(max(0, alpha * objects + (1 - alpha) * _regions(pred, gt, valid)))


def _evenness(values: np.ndarray) -> float:
    """Returns how close to 1, and how even, a map is over one object."""
    mean, std = values.mean(), values.std(ddof=1) if values.size > 1 else 0.0
    return float(2 * mean / (mean**2 + 1 + std + EPS))


def _regions(pred: np.ndarray, gt: np.ndarray, valid: np.ndarray | None) -> float:
    """Returns the similarity of the quadrants about the foreground's centre, weighted by area."""
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
    """Returns how alike two sets of n pixels are in mean, spread and covariance."""
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
    """
    levels = (_inside(pred, valid) * (LEVELS - 1)).astype(np.uint8)
    truth = _inside(gt, valid)

    def at_least(values: np.ndarray) -> np.ndarray:
        return np.bincount(values, minlength=LEVELS)[::-1].cumsum()[::-1]

    return _alignment(at_least(levels[truth]), at_least(levels.ravel()), truth.sum(), truth.size)


def e_adaptive(pred: np.ndarray, gt: np.ndarray, valid: np.ndarray | None = None) -> float:
    """Returns the E-measure at the threshold of twice the map's mean, 1 at most."""
    inside, truth = _inside(pred, valid), _inside(gt, valid)
    found = inside >= min(2 * inside.mean(dtype=np.float64), 1)
    return float(_alignment((found & truth).sum(), found.sum(), truth.sum(), truth.size))


def _alignment(
    hits: np.ndarray, found: np.ndarray, true: np.ndarray, pixels: np.ndarray
) -> np.ndarray:
    """Returns E-measures of binary maps, which depend on four pixel counts alone.

    Args:
        hits: Pixels that are foreground in map and truth.
        found: Foreground pixels of the map.
        true: Foreground pixels of the truth.
        pixels: All of them.
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
    """F-measure of errors weighted by where they are; 0 without foreground.

    An error inside the foreground counts less where its surroundings have less; a false alarm
    counts up to twice, the more the farther it is from the foreground.

    Args:
        pred: As above.
        gt: As above.
        valid: As above.
        beta2: Weight of recall, the square of beta.

    Source: Margolin et al., CVPR 2014, with beta2 1; Conv-LoRA's code has 0.3.
    """
    truth = gt if valid is None else gt & valid
    if not truth.any():
        return 0.0
    error = np.abs(pred.astype(np.float64, copy=False) - gt)
    if valid is not None:
        error[~valid] = 0
    distance, (rows, columns) = distance_transform_edt(~truth, return_indices=True)
    # outside of the foreground, the error of the foreground pixel that is nearest
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
    """Returns the mean of |pred - gt|."""
    return float(np.abs(_inside(pred.astype(np.float64, copy=False) - gt, valid)).mean())


def _inside(values: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    return values if valid is None else values[valid]
