"""Writes pictures of any number of bands as TIFF, with NumPy alone."""

from __future__ import annotations

import struct
import zlib

import numpy as np

_SHORT, _LONG = 3, 4
_DEFLATE, _GREY, _SEPARATE = 8, 1, 2
_FORMATS = {'u': 1, 'i': 2, 'f': 3}


def encode_tiff(picture: np.ndarray) -> bytes:
    r"""Returns the content of a TIFF: a deflated strip for each band.

    Args:
        picture: (H, W, N) of 8, 16 or 32 bits.

    Example:
        >>> import numpy as np
        >>> from rein_seg.scenes.drawing.tiff import encode_tiff
        >>> encode_tiff(np.zeros((4, 6, 5), np.uint16))[:4]
        b'II*\x00'
    """
    height, width, bands = picture.shape
    little = picture.astype(picture.dtype.newbyteorder('<'), copy=False)
    strips = [zlib.compress(little[..., i].tobytes(), 1) for i in range(bands)]
    starts, place = [], 8
    for strip in strips:
        starts.append(place)
        place += len(strip)
    entries = [
        (256, _LONG, [width]),
        (257, _LONG, [height]),
        (258, _SHORT, [8 * picture.dtype.itemsize] * bands),
        (259, _SHORT, [_DEFLATE]),
        (262, _SHORT, [_GREY]),
        (273, _LONG, starts),
        (277, _SHORT, [bands]),
        (278, _LONG, [height]),
        (279, _LONG, [len(strip) for strip in strips]),
        (284, _SHORT, [_SEPARATE]),
        (338, _SHORT, [0] * (bands - 1)),
        (339, _SHORT, [_FORMATS[picture.dtype.kind]] * bands),
    ]
    directory = place + place % 2
    table = _table([entry for entry in entries if entry[2]], directory)
    head = struct.pack('<2sHI', b'II', 42, directory)
    return b''.join([head, *strips, b'\0' * (place % 2), table])


def _table(entries: list[tuple[int, int, list[int]]], start: int) -> bytes:
    """Returns a directory of tags at a place in the file; long values follow it."""
    later, place = [], start + 2 + 12 * len(entries) + 4
    rows = []
    for tag, kind, values in entries:
        packed = struct.pack(f'<{len(values)}{"H" if kind == _SHORT else "I"}', *values)
        if len(packed) > 4:
            rows.append(struct.pack('<HHII', tag, kind, len(values), place))
            packed += b'\0' * (len(packed) % 2)
            later.append(packed)
            place += len(packed)
        else:
            rows.append(struct.pack('<HHI4s', tag, kind, len(values), packed.ljust(4, b'\0')))
    return b''.join([struct.pack('<H', len(entries)), *rows, struct.pack('<I', 0), *later])
