"""PNG files decoded by Rust's decoder (kornia-rs), three times as fast as libpng.

Inflating and unfiltering a PNG is most of a loader worker's time. Measured: street frames of
1914x1052, 46.0 -> 19.2 ms; their labels, 5.7 -> 0.4 ms. JPEG files gain nothing.

The Rust decoder is as strict as libpng, but for an encoder's wrong checksum over whole pixels
(Adler-32), which it passes over. Files that it refuses go to the plain form, which reads or refuses
them as ever.

H x W picture.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import cv2
import numpy as np

_SIGNATURE = b'\x89PNG\r\n\x1a\n'
# a damaged end is no matter to the Rust decoder, but it is to libpng
_END = b'\x00\x00\x00\x00IEND\xaeB`\x82'
_FIRST = 33  # bytes before the second chunk
_GREY, _RGB, _PALETTE, _RGBA = 0, 2, 3, 6  # colour types of the PNG specification
_MODES = {
    _GREY: ('mono', cv2.COLOR_GRAY2BGR),
    _RGB: ('rgb', cv2.COLOR_RGB2BGR),
    _RGBA: ('rgba', cv2.COLOR_RGBA2BGR),
}

Decode = Callable[[bytes, tuple[int, int], str], np.ndarray]


class Layout(NamedTuple):
    """The pixels of a PNG: height, width, and colour type of the specification."""

    height: int
    width: int
    colours: int


@lru_cache
def decoder() -> Decode | None:
    """Returns the decoder of kornia-rs 0.2, None where it is not installed.

    Other versions are left alone: the tests compared pixels of 0.2.
    """
    try:
        import kornia_rs
        from kornia_rs.io import decode_image_png_u8
    except ImportError:
        return None
    return decode_image_png_u8 if kornia_rs.__version__.startswith('0.2.') else None


def image_applies(data: bytes, mode: str) -> bool:
    """Tells whether an image is a plain PNG of 8 bits in RGB, RGBA or grey.

    Args:
        data: The content of a picture file.
        mode: Pillow's name of its pixel format; not read.
    """
    layout = layout_of(data)
    return layout is not None and layout.colours in _MODES and decoder() is not None


def image(plain: Callable[..., np.ndarray | None], data: bytes, mode: str) -> np.ndarray | None:
    """Computes `rein_seg.datasets.files.pictures.decode_pixels`: its arguments, its result."""
    height, width, colours = _layout(data)
    name, to_bgr = _MODES[colours]
    try:
        pixels = _decoder()(data, (height, width), name)
    except Exception:  # noqa: BLE001  the decoder raises Exception itself; plain says the reason
        return plain(data, mode)
    return cv2.cvtColor(pixels, to_bgr)


def label_applies(picture: Any, data: bytes) -> bool:
    """Tells whether a label is a plain PNG of 8 bits of grey or palette indexes.

    Args:
        picture: The same file, opened by Pillow; not read.
        data: The content of a picture file.
    """
    layout = layout_of(data)
    return layout is not None and layout.colours in (_GREY, _PALETTE) and decoder() is not None


def label(plain: Callable[..., np.ndarray], picture: Any, data: bytes) -> np.ndarray:
    """Computes `rein_seg.datasets.files.label_files.stored_values`: its arguments, its result."""
    height, width, colours = _layout(data)
    try:
        values = as_grey(data) if colours == _PALETTE else data
        return _decoder()(values, (height, width), 'mono')[..., 0]
    except Exception:  # noqa: BLE001  the decoder raises Exception itself; plain says the reason
        return plain(picture, data)


def layout_of(data: bytes) -> Layout | None:
    """Returns the layout of a PNG of 8 bits that is neither interlaced, animated nor cut.

    Args:
        data: The content of any file; None is returned for another one.

    Example:
        >>> import cv2
        >>> import numpy as np
        >>> from rein_seg.fast.rust_png import layout_of
        >>> layout_of(cv2.imencode('.png', np.zeros((4, 6, 3), np.uint8))[1].tobytes())
        Layout(height=4, width=6, colours=2)
        >>> layout_of(b'BM') is None
        True
    """
    if data[:8] != _SIGNATURE or data[12:16] != b'IHDR' or data[-12:] != _END:
        return None
    width, height, depth, colours, *_, interlaced = struct.unpack_from('>2I5B', data, 16)
    if depth != 8 or interlaced or any(kind == b'acTL' for kind, _ in _before_pixels(data)):
        return None
    return Layout(height, width, colours)


def as_grey(data: bytes) -> bytes:
    """Returns a PNG of palette indexes as a PNG of greys with the same values.

    Args:
        data: The content of the file, whose palette may be missing.
    """
    header = data[12:25] + bytes([_GREY]) + data[26:29]
    parts = [data[:12], header, struct.pack('>I', zlib.crc32(header))]
    end = _FIRST
    for kind, chunk in _before_pixels(data):
        end += len(chunk)
        if kind not in (b'PLTE', b'tRNS', b'bKGD', b'hIST'):
            parts.append(chunk)
    return b''.join([*parts, data[end:]])


def _before_pixels(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields kind and bytes of the chunks between the header and the pixels."""
    at = _FIRST
    while at + 12 <= len(data):
        length, kind = struct.unpack_from('>I4s', data, at)
        if kind == b'IDAT':
            return
        yield kind, data[at : at + 12 + length]
        at += 12 + length


def _layout(data: bytes) -> Layout:
    layout = layout_of(data)
    assert layout is not None, 'applies() is asked first'
    return layout


def _decoder() -> Decode:
    decode = decoder()
    assert decode is not None, 'applies() is asked first'
    return decode
