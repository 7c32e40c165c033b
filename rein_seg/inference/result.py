"""The result of predicting one image.

H x W image, K classes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rein_seg.errors import UserError
from rein_seg.pages.legend import legend
from rein_seg.pages.lettering import PAPER
from rein_seg.pages.maps import save_map

_LEGEND_WIDTH = 240  # pixels, of images that are smaller: names stay readable


@dataclass(frozen=True, eq=False)
class Prediction:
    """The classes of one image.

    Attributes:
        map: (H, W) class indexes, in the image's own size as displayed: uint8, above 255 classes
            uint16.
        classes: K names; index 0 is the first.
        palette: (K, 3) uint8 RGB.
        scores: (K, H, W) float32 probabilities, or None if they were not asked for.
        confidence: Mean over all pixels of the highest probability, 0..1.
        seconds: Time it took, without reading the file.
        name: Path of the file, or a name such as ``image 0``.
        image: (H, W, 3) uint8 RGB, or None if no overlay was asked for.

    Example:
        >>> import numpy as np
        >>> from rein_seg.inference.result import Prediction
        >>> result = Prediction(np.uint8([[0, 0, 0, 1]]), ('road', 'car'), np.eye(2, 3, dtype='u1'))
        >>> result.shares
        {'road': 0.75, 'car': 0.25}
        >>> result.save('maps/street.png').name
        'street.png'
    """

    map: np.ndarray
    classes: tuple[str, ...]
    palette: np.ndarray
    scores: np.ndarray | None = None
    confidence: float = float('nan')
    seconds: float = 0.0
    name: str = ''
    image: np.ndarray | None = None

    @property
    def shares(self) -> dict[str, float]:
        """Share of the pixels by class, 0..1; absent classes have 0."""
        counts = np.bincount(self.map.ravel(), minlength=len(self.classes))
        return {
            name: float(count / self.map.size)
            for name, count in zip(self.classes, counts, strict=True)
        }

    def overlay(self, alpha: float = 0.5, *, legend: bool = True) -> np.ndarray:
        """Returns the image under the classes' colours, (h, w, 3) uint8 RGB.

        Args:
            alpha: Weight of the colours, 0..1.
            legend: Whether to add the names of all classes beside their colours, below the image.

        Raises:
            UserError: If the image was not kept, or ``alpha`` is not in 0..1.
        """
        if self.image is None:
            raise UserError(
                f'prediction of {self.name!r} has no image to paint over: expected one predicted '
                'with overlay=True; predict it again so, or paint palette[map] yourself'
            )
        return paint(
            self.image, self.map, self.classes, self.palette, alpha=alpha, with_legend=legend
        )

    def save(self, path: str | os.PathLike) -> Path:
        """Writes the map as a palette png, whole or not at all; returns its path.

        Above 255 classes it is a grey png of 16 bits.

        Raises:
            UserError: If the name does not end in ``.png``.
        """
        return save_map(path, self.map, self.palette)


def paint(
    image: np.ndarray,
    label: np.ndarray,
    classes: tuple[str, ...],
    palette: np.ndarray,
    *,
    alpha: float = 0.5,
    with_legend: bool = True,
) -> np.ndarray:
    """Returns an image under the colours of its classes, with a legend below.

    Args:
        image: (H, W, 3) uint8 RGB.
        label: (H, W) class indexes; larger numbers mark pixels without data, which become black.
        classes: K names.
        palette: (K, 3) uint8 RGB.
        alpha: Weight of the colours, 0..1.
        with_legend: Whether to add the legend, at least 240 pixels wide.

    Raises:
        UserError: If ``alpha`` is not in 0..1.

    Example:
        >>> import numpy as np
        >>> from rein_seg.inference.result import paint
        >>> image, red = np.zeros((10, 300, 3), np.uint8), np.uint8([[200, 0, 0]])
        >>> painted = paint(image, np.zeros((10, 300), int), ('car',), red, alpha=0.25)
        >>> painted.shape[1], painted.shape[0] > 10, painted[0, 0].tolist()
        (300, True, [50, 0, 0])
    """
    if not 0 <= alpha <= 1:
        raise UserError(f'alpha={alpha!r} of an overlay: expected 0 (image) to 1 (colours)')
    colours = (palette * alpha).astype(np.float32)
    painted = np.empty_like(image)
    for start in range(0, len(image), 256):  # float copies of a whole photo would be large
        rows = slice(start, start + 256)
        known = label[rows] < len(colours)
        mixed = image[rows] * np.float32(1 - alpha) + colours[np.where(known, label[rows], 0)]
        painted[rows] = np.rint(mixed) * known[..., None]
    if not with_legend:
        return painted
    height, width = label.shape
    names = legend(classes, palette, max(width, _LEGEND_WIDTH))
    canvas = np.full((height + len(names), names.shape[1], 3), PAPER, np.uint8)
    canvas[:height, :width], canvas[height:] = painted, names
    return canvas
