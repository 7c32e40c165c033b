"""Opens every picture of a data set: measured before it is decoded, each pixel format by one rule.

H x W picture. The rules stand in a table in docs/reference/datasets.md.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from rein_seg.datasets.files.listing import read_bytes, read_heads
from rein_seg.errors import UserError
from rein_seg.fast.dispatch import has_fast_form

FORMATS = ('PNG', 'JPEG', 'TIFF', 'BMP', 'GIF', 'WEBP', 'PPM', 'JPEG2000')
MOST_PIXELS = 178_956_970  # Pillow's own limit; 512 MiB of RGB
STORED, DISPLAYED = 'stored', 'displayed'

_LOWEST_RANGE = 4096  # 16 bits with smaller values alone may be 8, 10 or 12 bits of a sensor

_ORIENTATION, _SUBFILE, _SAMPLES = 274, 254, 277  # EXIF and TIFF tags
_MOST_CHANNELS = 4  # of colours, with alpha or in CMYK
_SMALLER_COPY, _MASK = 1, 4  # bits of _SUBFILE
_LIES, _INVERSE = (5, 6, 7, 8), {6: 8, 8: 6}

# OpenCV prints an error of its own before it returns None; the message here says more
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


@dataclass(frozen=True)
class Header:
    """A picture's header.

    Attributes:
        stored: (height, width) of the pixels in the file.
        orientation: Turn and flip of the EXIF data, 1 to 8; 1 is none. None: no EXIF data say it.
    """

    stored: tuple[int, int]
    orientation: int | None = None

    @property
    def turned(self) -> bool:
        """Whether a viewer shows the picture otherwise than it is stored."""
        return self.orientation not in (None, 1)

    def size(self, orientation: str | None = None) -> tuple[int, int]:
        """Returns (height, width) as displayed, or as stored."""
        lies = orientation != STORED and self.orientation in _LIES
        return self.stored[::-1] if lies else self.stored


@contextmanager
def open_picture(data: bytes, path: str, *, what: str = 'image') -> Iterator[Image.Image]:
    """Opens the content of a picture file with Pillow, measured but not decoded.

    Args:
        data: The file's content.
        path: Of the file, for messages.
        what: image or label, for messages.

    Raises:
        UserError: If it is damaged, of another format, or has more than `MOST_PIXELS`; also for an
            error of Pillow inside the context.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise Image.DecompressionBombError(f'{width} x {height} pixels')
            if image.format == 'TIFF':
                _check_bands(int(image.tag_v2.get(_SAMPLES, 1)), path, what)
            yield image
    except (UserError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise UserError(
            f'{what} {path!r} is too large ({error}): expected at most {MOST_PIXELS} pixels; cut '
            'it into tiles'
        ) from error
    except Exception as error:  # noqa: BLE001  a parser of a damaged file may raise anything
        reason = str(error).replace('\n', ' ')
        known = 'cannot identify' not in reason
        _check_bands(_bands_of_tiff(data), path, what)
        raise UserError(
            f'{what} {path!r} cannot be read: '
            f'{reason or type(error).__name__ if known else "not a picture"} '
            f'({len(data)} bytes); expected {", ".join(FORMATS)}; mend the file, or leave it out '
            'with skip=[NAME, ...] in the data set'
        ) from error


def _check_bands(bands: int, path: str, what: str) -> None:
    """Refuses a TIFF of more bands than colours have, whatever Pillow or OpenCV make of it."""
    if bands > _MOST_CHANNELS:
        raise UserError(
            f'{what} {path!r} has {bands} bands: expected grey or RGB; name the bands, for a model '
            'that takes them: rein-seg init-data DIR --bands NAME,NAME,...'
        )


def _bands_of_tiff(data: bytes) -> int:
    """Returns the number of bands that the tags of a TIFF say, 0 for another or a damaged file."""
    if data[:4] not in (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+'):
        return 0
    try:
        directory = ImageFileDirectory_v2(data[: 16 if b'+' in data[2:4] else 8])
        file = io.BytesIO(data)
        file.seek(directory.next)
        directory.load(file)
        return int(directory.get(_SAMPLES, 1))
    except Exception:  # noqa: BLE001  the file's own error says more
        return 0


def read_header(path: str) -> Header:
    """Returns the header of a picture file, from its first 64 KiB where these suffice.

    Raises:
        OSError: If the file cannot be read.
        UserError: If it is no picture or too large.

    Example:
        >>> from PIL import Image
        >>> from rein_seg.datasets.files.pictures import read_header
        >>> turned = Image.Exif()
        >>> turned[274] = 6  # orientation
        >>> Image.new('RGB', (6, 4)).save('a.jpg', exif=turned)
        >>> header = read_header('a.jpg')
        >>> header.stored, header.size(), header.size('stored')
        ((4, 6), (6, 4), (4, 6))
    """
    damaged: UserError | None = None
    for data in read_heads(path):
        try:
            with open_picture(data, path) as image:
                return header_of(image, data)
        except UserError as error:
            damaged = error
    assert damaged is not None
    raise damaged


def header_of(image: Image.Image, data: bytes) -> Header:
    """Returns the header of an opened picture."""
    width, height = image.size
    if image.format == 'TIFF':  # Pillow and OpenCV turn it whatever they are told
        orientation = image.tag_v2.get(_ORIENTATION)
        lies = orientation in _LIES
        return Header((width, height) if lies else (height, width), _valid(orientation))
    exif = image.info.get('exif') or (_late_exif(data) if image.format == 'PNG' else b'')
    return Header((height, width), _orientation(exif) if exif else None)


def _orientation(data: bytes) -> int | None:
    exif = Image.Exif()
    try:
        exif.load(data)
        return _valid(exif.get(_ORIENTATION))
    except Exception:  # noqa: BLE001  damaged EXIF data say nothing; the pixels may be whole
        return None


def _valid(orientation: object) -> int | None:
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else None


def _late_exif(data: bytes) -> bytes:
    """Returns the EXIF data of a PNG, which may follow its pixels."""
    at = 8
    while at + 8 <= len(data):
        length, kind = struct.unpack_from('>I4s', data, at)
        if kind == b'eXIf':
            return data[at + 8 : at + 8 + length]
        at += 12 + length
    return b''


def turn(array: np.ndarray, orientation: int | None) -> np.ndarray:
    """Returns an array (H, W, ...) as a viewer shows it.

    Args:
        array: As stored.
        orientation: Of the EXIF data.

    Example:
        >>> import numpy as np
        >>> from rein_seg.datasets.files.pictures import turn
        >>> turn(np.array([[1, 2, 3]]), 6).tolist(), turn(np.array([[1, 2, 3]]), 3).tolist()
        ([[1], [2], [3]], [[3, 2, 1]])
    """
    if orientation in _LIES:
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def oriented(
    array: np.ndarray, header: Header, orientation: str | None, *, is_turned: bool
) -> np.ndarray:
    """Returns decoded pixels as displayed, or as stored.

    Args:
        array: (H, W, ...) pixels.
        header: Of the file.
        orientation: `STORED`; anything else displays.
        is_turned: Whether the decoder has turned them, as decoders of TIFF do.
    """
    known = header.orientation
    if is_turned:
        if orientation != STORED:
            return array
        known = _INVERSE.get(known or 1, known)
        return turn(array, known)
    return array if orientation == STORED else turn(array, known)


def check_pages(image: Image.Image, path: str, *, what: str) -> None:
    """Checks that a file holds one picture; smaller copies and masks of a TIFF do not count.

    Raises:
        UserError: If it is an animation or has several pages.
    """
    if image.format == 'MPO':  # a camera's preview follows the picture
        return
    pages = range(getattr(image, 'n_frames', 1))
    if len(pages) == 1:
        return
    number = len(pages)
    if image.format == 'TIFF':
        number = 0
        for page in pages:
            image.seek(page)
            number += not image.tag_v2.get(_SUBFILE, 0) & (_SMALLER_COPY | _MASK)
        image.seek(0)
    if number > 1:
        raise UserError(
            f'{what} {path!r} holds {number} pictures (frames or pages): expected one; save the '
            'one that is meant as a file of its own'
        )


def read_image(
    path: str, *, max_value: float | None = None, orientation: str | None = None
) -> np.ndarray:
    """Returns the (H, W, 3) uint8 pixels of an image file, BGR.

    8 bits are read as OpenCV reads them, without alpha. 16 bits are a full range, which becomes
    8 bits (v >> 8). Other numbers need ``max_value``.

    Args:
        path: The file, or a member of a zip, as `read_bytes`.
        max_value: White, where values have more than 8 bits; 0 is black.
        orientation: ``'stored'`` keeps the pixels as they lie in the file; None turns them as
            their EXIF data say.

    Raises:
        OSError: If the file cannot be read.
        UserError: If it is no picture, is too large, holds several, or its numbers have no known
            white.

    Example:
        >>> import numpy as np
        >>> from PIL import Image
        >>> from rein_seg.datasets.files.pictures import read_image
        >>> Image.fromarray(np.uint16([[0, 4095]])).save('sensor.png')
        >>> read_image('sensor.png', max_value=4095)[..., 0]
        array([[  0, 255]], dtype=uint8)
    """
    return decode_image(read_bytes(path), path, max_value=max_value, orientation=orientation)


def decode_image(
    data: bytes, path: str, *, max_value: float | None = None, orientation: str | None = None
) -> np.ndarray:
    """Returns the (H, W, 3) uint8 pixels of a file's content; see `read_image`."""
    with open_picture(data, path) as image:
        check_pages(image, path, what='image')
        header, mode = header_of(image, data), image.mode
        is_turned = image.format == 'TIFF'
        if mode == 'P' and not image.getpalette():
            raise ValueError('a picture of palette indexes without a palette')
    if mode == 'LAB':
        raise UserError(
            f'image {path!r} has Lab colours: expected grey, RGB, a palette or CMYK; save it as RGB'
        )
    pixels = decode_pixels(data, mode)
    expected = header.size() if is_turned else header.stored
    if pixels is None or pixels.shape[:2] != expected:
        raise UserError(
            f'image {path!r} cannot be decoded: expected {expected} (height, width) pixels of 8 '
            'or 16 bits, or of one channel of 32 bits; save it again, or leave it out with '
            'skip=[NAME, ...] in the data set'
        )
    if pixels.dtype != np.uint8:
        pixels = to_bytes(pixels, f'image {path!r}', max_value)
    if pixels.ndim == 2:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
    return oriented(pixels, header, orientation, is_turned=is_turned)


@has_fast_form('rust_png')
def decode_pixels(data: bytes, mode: str) -> np.ndarray | None:
    """Decodes an image with OpenCV.

    Args:
        data: The content of a picture file.
        mode: Pillow's name of its pixel format.

    Returns:
        (H, W, 3) BGR as stored, or (H, W) of one channel of 32 bits; None if OpenCV refuses it.

    Example:
        >>> import cv2
        >>> import numpy as np
        >>> from rein_seg.datasets.files.pictures import decode_pixels
        >>> file = cv2.imencode('.png', np.uint8([[[1, 2, 3]]]))[1].tobytes()
        >>> decode_pixels(file, 'RGB').tolist()
        [[[1, 2, 3]]]
    """
    # OpenCV converts numbers of one channel and 32 bits to colours only by failing
    flags = cv2.IMREAD_ANYDEPTH | (0 if mode in ('I', 'F') else cv2.IMREAD_COLOR)
    return cv2.imdecode(np.frombuffer(data, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)


def to_bytes(pixels: np.ndarray, name: str, max_value: float | None) -> np.ndarray:
    """Returns uint8 pixels of numbers from 0 (black) to ``max_value`` (white).

    Args:
        pixels: Numbers of more than 8 bits.
        name: Of the image, for messages.
        max_value: None takes the full range of 16 bits.

    Raises:
        UserError: If white is not known, or numbers lie beyond.
    """
    low, high = pixels.min(), pixels.max()
    about = f'{name} holds {pixels.dtype} values of {low:g} to {high:g}'
    wide = pixels.dtype == np.uint16
    if max_value is None and (not wide or high < _LOWEST_RANGE):
        full = 'a full range of 16 bits, or ' if wide else ''
        raise UserError(
            f'{about}: expected {full}8 bits; say which value is white with max_value=NUMBER in '
            'the data set'
        )
    white = 65535 if max_value is None else max_value
    if not (low >= 0 and high <= white):  # false for NaN, too
        raise UserError(
            f'{about}: expected 0 to max_value={white:g}; set the max_value of the data set to '
            'the value of white'
        )
    if pixels.dtype.kind == 'f':
        return np.rint(pixels * (255 / white)).astype(np.uint8)
    levels = int(white) + 1
    return (pixels.astype(np.uint64) * 256 // levels).astype(np.uint8)
