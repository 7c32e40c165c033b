"""Maps of classes as colours; all pictures are uint8 RGB."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from rein_seg.checkpoint import atomic_path
from rein_seg.errors import UserError

# right: pale, wrong: strong and dark; told apart without colour, too
RIGHT, WRONG, UNLABELLED = (226, 232, 238), (170, 20, 60), (120, 120, 120)


def colour(label: np.ndarray, palette: Sequence[Sequence[int]] | np.ndarray) -> np.ndarray:
    """Returns (H, W, 3) colours of (H, W) class indexes; pixels without a class are black.

    Args:
        label: Class indexes; 255 and others without a colour are no class.
        palette: (K, 3) RGB.

    Example:
        >>> import numpy as np
        >>> from rein_seg.pages.maps import colour
        >>> red_and_blue = np.array([[255, 0, 0], [0, 0, 255]], np.uint8)
        >>> colour(np.array([[0, 1, 255]]), red_and_blue).tolist()
        [[[255, 0, 0], [0, 0, 255], [0, 0, 0]]]
    """
    table = np.zeros((256, 3), np.uint8)
    table[: len(palette)] = palette
    return table[label.astype(np.uint8)]


def error_map(pred: np.ndarray, label: np.ndarray, *, ignore_index: int = 255) -> np.ndarray:
    """Returns (H, W, 3): wrong pixels dark red, right pixels pale, unlabelled pixels grey.

    Args:
        pred: (H, W) class indexes.
        label: (H, W) class indexes and ignore_index.
        ignore_index: Label of pixels that are not counted.

    Example:
        >>> import numpy as np
        >>> from rein_seg.pages.maps import error_map
        >>> error_map(np.array([[0, 1, 1]]), np.array([[0, 0, 255]])).tolist()
        [[[226, 232, 238], [170, 20, 60], [120, 120, 120]]]
    """
    picture = np.empty((*label.shape, 3), np.uint8)
    picture[:] = RIGHT
    picture[pred != label] = WRONG
    picture[label == ignore_index] = UNLABELLED
    return picture


def save_map(path: str | os.PathLike, label: np.ndarray, palette: np.ndarray) -> Path:
    """Writes class indexes as a palette png (uint8) or a grey png of 16 bits, atomically.

    Args:
        path: Ends in ``.png``.
        label: (H, W) uint8 or uint16.
        palette: (K, 3) uint8 RGB.

    Raises:
        UserError: If the name does not end in ``.png``.
    """
    path = Path(path)
    if path.suffix.lower() != '.png':
        raise UserError(
            f'map {str(path)!r}: expected a name in .png, which keeps indexes exactly: rename it'
        )
    picture = Image.fromarray(label)
    if label.dtype == np.uint8:
        picture.putpalette(palette.tobytes())  # a picture of grey values becomes one of indexes
    with atomic_path(path) as temporary:
        picture.save(temporary, format='PNG')
    return path
