"""Rows of pictures: image, truth and prediction side by side under a title; uint8 RGB."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from rein_seg.pages.lettering import PAPER, shortened, write

WIDTH, GAP, HEADER = 320, 6, 22
STRIP_WIDTH = 3 * WIDTH + 2 * GAP
_SIZE = 13  # of the font
_CARD = 240  # pixels, height of an image of any shape


def row(
    title: str | Sequence[str], images: Sequence[np.ndarray], *, width: int = WIDTH
) -> np.ndarray:
    """Returns an image, its truth and its predictions side by side under a title.

    Args:
        title: Of the row, or a text for each image.
        images: (H, W, 3) each: the image, then maps of classes in colours.
        width: Of each image, in pixels.

    Example:
        >>> import numpy as np
        >>> from rein_seg.pages.strips import row
        >>> image = np.zeros((100, 200, 3), np.uint8)
        >>> row('fog   mIoU 41.20 %', [image, image, image]).shape  # 3 x 320 and two gaps wide
        (182, 972, 3)
    """
    size = (width, round(images[0].shape[0] * width / images[0].shape[1]))
    gap = np.full((size[1], GAP, 3), PAPER, np.uint8)
    cells = [cv2.resize(images[0], size, interpolation=cv2.INTER_AREA)]
    for each in images[1:]:
        # nearest: a mean of two colours would be a third class
        cells += [gap, cv2.resize(each, size, interpolation=cv2.INTER_NEAREST)]
    words = [title] if isinstance(title, str) else title
    line = text_line(words, columns=len(images), width=width)
    return np.vstack([line, np.hstack(cells)])


def cards(title: str, images: Sequence[np.ndarray], captions: Sequence[str]) -> np.ndarray:
    """Returns up to three images of any shape side by side, each under a caption.

    Args:
        title: Of the row.
        images: (H, W, 3) each.
        captions: A line for each image.

    Example:
        >>> import numpy as np
        >>> from rein_seg.pages.strips import cards
        >>> images = [np.zeros((100, 200, 3), np.uint8), np.zeros((300, 100, 3), np.uint8)]
        >>> cards('fog', images, ['car', 'van']).shape
        (284, 972, 3)
    """
    strip = np.full((_CARD, STRIP_WIDTH, 3), PAPER, np.uint8)
    for i, image in enumerate(images):
        scale = min(WIDTH / image.shape[1], _CARD / image.shape[0])
        size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        left = i * (WIDTH + GAP)
        strip[: size[1], left : left + size[0]] = small
    columns = [*captions, '', ''][:3]
    return np.vstack([text_line([title]), text_line(columns), strip])


def text_line(words: Sequence[str], *, columns: int = 3, width: int = WIDTH) -> np.ndarray:
    """Returns a line of text: a title, or a word for each column.

    Args:
        words: One, which may take the whole line, or one for each column.
        columns: Number of columns.
        width: Of a column, in pixels.

    Example:
        >>> from rein_seg.pages.strips import text_line
        >>> text_line(['image', 'truth', 'prediction']).shape
        (22, 972, 3)
    """
    total = columns * width + (columns - 1) * GAP
    line = np.full((HEADER, total, 3), PAPER, np.uint8)
    room = total if len(words) == 1 else width
    for i, word in enumerate(words):
        write(line, shortened(word, room - 8, _SIZE), (i * (width + GAP) + 4, HEADER // 2), _SIZE)
    return line
