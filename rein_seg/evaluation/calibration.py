"""Calibration: whether predictions are right as often as their probabilities say.

A pixel's confidence is the probability of its predicted class. Pixels are sorted into `BINS` bins
of equal width by confidence.
"""

from __future__ import annotations

import numpy as np

BINS = 15
_MOST_PIXELS = 2**14  # of an image: more would take time and change nothing


def grid(size: tuple[int, ...]) -> tuple[slice, slice]:
    """Returns the rows and columns of an image whose pixels are looked at: all of a small image.

    Args:
        size: (H, W) of the image.

    Example:
        >>> from rein_seg.evaluation.calibration import grid
        >>> grid((128, 128)), grid((1024, 2048))
        ((slice(0, None, 1), slice(0, None, 1)), (slice(6, None, 12), slice(6, None, 12)))
    """
    step = max(1, int(np.ceil(np.sqrt(size[0] * size[1] / _MOST_PIXELS))))
    return slice(step // 2, None, step), slice(step // 2, None, step)


def count_bins(confidence: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Returns (3, BINS) float64: pixels, right pixels and sum of the confidences of each bin.

    Args:
        confidence: (n,) probabilities of the predicted classes, 0..1.
        right: (n,) bool, whether the prediction is right.

    Example:
        >>> import numpy as np
        >>> from rein_seg.evaluation.calibration import count_bins
        >>> counts = count_bins(np.array([0.55, 0.58, 1.0]), np.array([True, False, True]))
        >>> counts[:, [8, 14]].tolist()
        [[2.0, 1.0], [1.0, 1.0], [1.13, 1.0]]
    """
    confidence = confidence.astype(np.float64)
    index = np.clip((confidence * BINS).astype(np.intp), 0, BINS - 1)
    weights = (None, right.astype(np.float64), confidence)
    return np.stack([np.bincount(index, w, BINS).astype(np.float64) for w in weights])


def calibration_error(counts: np.ndarray) -> float | None:
    """Returns the expected calibration error (ECE) in %, or None without a pixel.

    The mean over all pixels of |share of right pixels - mean confidence| of their bin.

    Args:
        counts: (3, BINS), from `count_bins`, summed over images.

    Source: Naeini et al., AAAI 2015; Guo et al., ICML 2017.

    Example:
        >>> import numpy as np
        >>> from rein_seg.evaluation.calibration import calibration_error, count_bins
        >>> counts = count_bins(np.full(10, 0.95), np.arange(10) < 8)  # 80 % right, 95 % sure
        >>> round(calibration_error(counts), 4)
        15.0
    """
    pixels, right, confidence = counts
    return float(np.abs(right - confidence).sum() / pixels.sum() * 100) if pixels.any() else None
