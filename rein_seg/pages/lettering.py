"""Text in pictures, drawn by Pillow; pictures are (H, W, 3) uint8 RGB."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

INK, PAPER = (40, 40, 40), 255


@cache
def font(size: int, *, latin: bool = True) -> ImageFont.FreeTypeFont:
    """Returns Pillow's own font, or matplotlib's for other scripts (Greek, Cyrillic, Arabic).

    A sign that is in neither is drawn as a box.

    Args:
        size: Height of a line in pixels.
        latin: Whether the text has signs of Latin-1 alone.

    Example:
        >>> from rein_seg.pages.lettering import font
        >>> font(14).getname()[0]
        'Aileron'
    """
    if latin:
        return ImageFont.load_default(size=size)
    import matplotlib  # a second that Latin text does not need

    path = Path(matplotlib.get_data_path()) / 'fonts/ttf/DejaVuSans.ttf'
    return ImageFont.truetype(str(path), size)


def printable(text: str) -> str:
    r"""Returns text of one line; signs that no font can draw become '?'.

    Example:
        >>> from rein_seg.pages.lettering import printable
        >>> printable('a\udcff\n')
        'a??'
    """
    return ''.join(c if c.isprintable() else '?' for c in text)


def text_width(text: str, size: int) -> int:
    """Returns the width of a text in pixels.

    Example:
        >>> from rein_seg.pages.lettering import text_width
        >>> text_width('traffic sign', 13) > text_width('car', 13) > 0
        True
    """
    text = printable(text)
    return round(_font_of(text, size).getlength(text))


def shortened(text: str, width: int, size: int) -> str:
    """Returns a text that fits a width, with an ellipsis where its end is cut.

    Example:
        >>> from rein_seg.pages.lettering import shortened
        >>> shortened('car', 200, 13)
        'car'
        >>> shortened('a very long name of a class', 60, 13)[-1]
        '…'
    """
    text = printable(text)
    if text_width(text, size) <= width:
        return text
    while text and text_width(f'{text}…', size) > width:
        text = text[:-1]
    return f'{text}…' if text else ''


def write(picture: np.ndarray, text: str, at: tuple[int, int], size: int) -> None:
    """Writes a text into a picture.

    Args:
        picture: Changed in place.
        text: In one line.
        at: (x, y) of its left end and the middle of its height.
        size: Of the font.

    Example:
        >>> import numpy as np
        >>> from rein_seg.pages.lettering import write
        >>> picture = np.full((20, 80, 3), 255, np.uint8)
        >>> write(picture, 'sky', (4, 10), 13)
        >>> bool((picture < 128).any())
        True
    """
    text = printable(text)
    image = Image.fromarray(picture)
    ImageDraw.Draw(image).text(at, text, fill=INK, font=_font_of(text, size), anchor='lm')
    picture[:] = image


def _font_of(text: str, size: int) -> ImageFont.FreeTypeFont:
    return font(size, latin=text.replace('…', '').isascii() or max(text) <= 'ÿ')
