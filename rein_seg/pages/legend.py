"""The names of classes beside their colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rein_seg.pages.lettering import PAPER, shortened, text_width, write

_SMALLEST, _LARGEST, _SHARE = 12, 48, 75  # sizes of the font; the picture's width over it


def legend(
    classes: Sequence[str], palette: Sequence[Sequence[int]] | np.ndarray, width: int
) -> np.ndarray:
    """Returns a picture of all classes, (h, width, 3) uint8 RGB, in as many columns as fit.

    Args:
        classes: K names.
        palette: (K, 3) RGB colours, 0..255.
        width: In pixels; the font grows with it.

    Example:
        >>> from rein_seg.pages.legend import legend
        >>> picture = legend(['road', 'car'], [[128, 64, 128], [0, 0, 142]], 200)
        >>> picture.shape
        (28, 200, 3)
        >>> picture[14, 8].tolist()  # the first swatch
        [128, 64, 128]
    """
    size = min(max(width // _SHARE, _SMALLEST), _LARGEST)
    pad, swatch, line = size // 3, size, round(size * 1.7)
    head = pad + swatch + size // 2  # before a name
    widest = max((text_width(name, size) for name in classes), default=0)
    columns = min(max(width // (head + widest + size), 1), max(len(classes), 1))
    cell, rows = width // columns, -(-len(classes) // columns)
    picture = np.full((rows * line + 2 * pad, width, 3), PAPER, np.uint8)
    for i, name in enumerate(classes):
        x, y = (i % columns) * cell + pad, (i // columns) * line + pad
        top = y + (line - swatch) // 2
        picture[top : top + swatch, x : x + swatch] = (110, 110, 110)  # an edge for pale colours
        picture[top + 1 : top + swatch - 1, x + 1 : x + swatch - 1] = palette[i]
        left = (i % columns) * cell + head
        text = shortened(name, cell - head, size)
        if text:
            write(picture, text, (left, y + line // 2), size)
    return picture
