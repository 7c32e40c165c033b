"""Contents of picture files that no library writes: hand-made headers, chunks and tags."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

PNG = b'\x89PNG\r\n\x1a\n'


def encode(array: np.ndarray | Image.Image, form: str, **options: object) -> bytes:
    """Returns a picture as Pillow saves it."""
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def tiff(array: np.ndarray) -> bytes:
    """Returns numbers of any kind as OpenCV saves them in a TIFF."""
    return cv2.imencode('.tif', array)[1].tobytes()


def exif(orientation: int) -> bytes:
    """Returns EXIF data with an orientation."""
    data = Image.Exif()
    data[274] = orientation
    return data.tobytes()


def chunk(kind: bytes, data: bytes) -> bytes:
    """Returns a chunk of a PNG."""
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def png(
    width: int, height: int, data: bytes, *, bits: int = 8, colour: int = 0, extra: bytes = b''
) -> bytes:
    """Returns a PNG of these raw rows (each with its filter byte in front)."""
    head = chunk(b'IHDR', struct.pack('>2I5B', width, height, bits, colour, 0, 0, 0))
    return PNG + head + extra + chunk(b'IDAT', zlib.compress(data)) + chunk(b'IEND', b'')


def four_bits(values: np.ndarray) -> bytes:
    """Returns a grey PNG of 4 bits a pixel."""
    rows = b''.join(b'\0' + bytes(row[0::2] << 4 | row[1::2]) for row in values)
    return png(values.shape[1], values.shape[0], rows, bits=4)


def tiff_of_tags(tags: Sequence[tuple[int, int, int]], data: bytes = b'') -> bytes:
    """Returns a little-endian TIFF: data at offset 8, then (tag, type, value) of one value each."""
    entries = b''.join(
        struct.pack('<HHI', tag, kind, 1)
        + struct.pack('<I' if kind == 4 else '<HH', *_words(kind, v))
        for tag, kind, v in sorted(tags)
    )
    directory = struct.pack('<H', len(tags)) + entries + struct.pack('<I', 0)
    return b'II*\0' + struct.pack('<I', 8 + len(data)) + data + directory


def _words(kind: int, value: int) -> tuple[int, ...]:
    return (value,) if kind == 4 else (value, 0)


def tiled(grey: np.ndarray) -> bytes:
    """Returns an (H, W) grey TIFF in a single tile of its size, multiples of 16."""
    height, width = grey.shape
    tags = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1), (277, 3, 1)]
    tile = [(322, 4, width), (323, 4, height), (324, 4, 8), (325, 4, grey.size)]
    return tiff_of_tags([*tags, *tile], grey.tobytes())


def bombs() -> dict[str, bytes]:
    """Returns file name -> a small file whose header says a huge picture."""
    side = 60_000
    tags = [(256, 4, side), (257, 4, side), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8)]
    jpeg = bytearray(encode(np.zeros((8, 8), np.uint8), 'JPEG'))
    at = jpeg.index(b'\xff\xc0') + 5
    jpeg[at : at + 4] = struct.pack('>2H', 65_500, 65_500)
    gif = bytearray(encode(np.zeros((8, 8), np.uint8), 'GIF'))
    gif[6:10] = struct.pack('<2H', 65_500, 65_500)
    bmp = bytearray(encode(np.zeros((8, 8, 3), np.uint8), 'BMP'))
    bmp[18:26] = struct.pack('<2i', side, side)
    webp = bytearray(encode(np.zeros((8, 8, 3), np.uint8), 'WEBP', exif=exif(1)))
    at = webp.index(b'VP8X') + 12
    webp[at : at + 6] = (16_382).to_bytes(3, 'little') * 2
    jp2 = bytearray(encode(np.zeros((8, 8), np.uint8), 'JPEG2000'))
    at = jp2.index(b'ihdr') + 4
    jp2[at : at + 8] = struct.pack('>2I', side, side)
    return {
        'bomb.png': png(100_000, 100_000, bytes(1000), colour=2),
        'wide.png': png(2**31 - 1, 1, bytes(1000)),
        'bomb.tif': tiff_of_tags([*tags, (278, 4, side), (279, 4, side)], bytes(64)),
        'bomb.jpg': bytes(jpeg),
        'bomb.bmp': bytes(bmp),
        'bomb.webp': bytes(webp),
    } | {'bomb.gif': bytes(gif), 'bomb.jp2': bytes(jp2), 'bomb.ppm': b'P6 99999 99999 255\n0000'}


def inflating(kind: bytes, size: int = 300_000_000) -> bytes:
    """Returns an 8 x 8 PNG whose text or colour profile inflates to ``size`` bytes."""
    many = zlib.compress(bytes(size), 9)
    names = {b'zTXt': b'a\0\0', b'iCCP': b'a\0\0', b'iTXt': b'a\0\1\0\0\0'}
    return png(8, 8, bytes(8 * 9), extra=chunk(kind, names[kind] + many))
