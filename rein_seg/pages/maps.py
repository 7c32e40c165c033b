"""Maps of classes as colours; all pictures are uint8 RGB."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

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
