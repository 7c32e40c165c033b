"""Figures of a video or raster: shares of classes, mean confidence."""

from __future__ import annotations

import time
from typing import Any

import numpy as np


class Total:
    """Adds up the figures of frames or rows.

    Args:
        classes: K names.

    Attributes:
        frames: Number of frames, counted by the caller.

    Example:
        >>> import numpy as np
        >>> from rein_seg.inference.totals import Total
        >>> total = Total(('road', 'car'))
        >>> total.add(np.uint8([[0, 0, 1, 255]]), 3.0)
        >>> figures = total.figures((1, 4))
        >>> figures['shares'], figures['confidence']
        ({'road': 0.666667, 'car': 0.333333}, 0.75)
    """

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.start = time.perf_counter()
        self.classes, self.counts = classes, np.zeros(len(classes), np.int64)
        self.frames = self.pixels = 0
        self.confidence = 0.0

    def add(self, label: np.ndarray, confidence: float | None) -> None:
        """Adds classes, and the sum of their confidence; None is not known."""
        counts = np.bincount(label.ravel(), minlength=len(self.counts))
        self.counts += counts[: len(self.counts)]  # larger indexes mark pixels without data
        if confidence is not None:
            self.pixels += label.size
            self.confidence += confidence

    def figures(self, size: tuple[int, ...]) -> dict[str, Any]:
        """Returns size, seconds, confidence and shares, for the record."""
        shares = self.counts / max(int(self.counts.sum()), 1)
        return {
            'size': list(size),
            'seconds': round(time.perf_counter() - self.start, 4),
            'confidence': round(self.confidence / self.pixels, 4) if self.pixels else None,
            'shares': {
                name: round(float(share), 6)
                for name, share in zip(self.classes, shares, strict=True)
                if share
            },
        }
