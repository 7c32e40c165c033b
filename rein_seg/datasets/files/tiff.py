"""Reads the samples of TIFF files of any number of bands, as their tags say.

Pillow parses the tags and decodes compressed strips and tiles, each into a buffer of the size that
its tags give. So a file that lies about its size cannot fill the memory, and no further package is
needed.

H x W image, N bands, h x w strip or tile.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from rein_seg.datasets.files.pictures import MOST_PIXELS
from rein_seg.errors import UserError

MAGIC = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')
MOST_PAGES = 4096
MOST_VALUES = 2**31  # bytes of a decoded file
_KINDS = {(8, 1): 'u1', (16, 1): 'u2', (16, 2): 'i2', (32, 3): 'f4'}
_CODECS = {
    **{1: 'none', 5: 'LZW', 8: 'deflate', 32946: 'deflate', 32773: 'packbits'},
    **{34925: 'LZMA', 50000: 'zstd'},
}
_PLAIN, _SEPARATE = 1, 2
_SUBFILE, _WIDTH, _HEIGHT, _BITS, _CODEC, _COLOURS = 254, 256, 257, 258, 259, 262
_FILL_ORDER = 266
_STRIPS, _SAMPLES, _ROWS, _STRIP_BYTES, _PLANES, _PREDICTOR = 273, 277, 278, 279, 284, 317
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES, _FORMAT = 322, 323, 324, 325, 339
_NODATA = 42113  # of GDAL, a text
_PALETTE = 3


@dataclass(frozen=True)
class Page:
    """A page of a TIFF.

    Attributes:
        size: (H, W).
        samples: N.
        dtype: Of the numbers, with their byte order.
        tags: The raw tags.
    """

    size: tuple[int, int]
    samples: int
    dtype: np.dtype
    tags: dict[int, Any]

    @property
    def nodata(self) -> str | None:
        """The value without data that the file declares, as GDAL writes it."""
        value = self.tags.get(_NODATA)
        return None if value is None else str(value).strip('\0 ')


def is_tiff(data: bytes) -> bool:
    """Says whether a file's content begins as a TIFF."""
    return data[:4] in MAGIC


def pages_of(data: bytes, path: str) -> list[Page]:
    """Returns the pages of a TIFF, without smaller copies and masks.

    Args:
        data: Content of the file.
        path: For messages.

    Raises:
        UserError: If it is damaged, or its numbers are no 8 or 16 bits or float32.

    Example:
        >>> import io
        >>> import numpy as np
        >>> from PIL import Image
        >>> from rein_seg.datasets.files.tiff import pages_of, read_page
        >>> file = io.BytesIO()
        >>> Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3)).save(file, 'TIFF')
        >>> page, = pages_of(file.getvalue(), 'a.tif')
        >>> page.size, page.samples, read_page(file.getvalue(), page, 'a.tif')[..., 0].tolist()
        ((2, 3), 1, [[0, 1, 2], [3, 4, 5]])
    """
    try:
        return [_page(tags, data, path) for tags in _directories(data, path)]
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001  a parser of a damaged file may raise anything
        reason = str(error) or type(error).__name__
        raise UserError(
            f'image {path!r} cannot be read as TIFF: {reason} ({len(data)} bytes); copy it again'
        ) from error


def _directories(data: bytes, path: str) -> list[dict[int, Any]]:
    file, found, met = io.BytesIO(data), [], set()
    header = data[: 16 if data[2:3] == b'+' or data[3:4] == b'+' else 8]
    directory = ImageFileDirectory_v2(header)
    place = directory.next
    while place:
        if place in met or len(met) >= MOST_PAGES:
            raise UserError(
                f'image {path!r} has more than {MOST_PAGES} pages, or pages in a circle: expected '
                'one image; save it as a file of its own'
            )
        met.add(place)
        file.seek(place)
        directory.load(file)
        tags = {number: directory.get(number) for number in directory}
        if not int(tags.get(_SUBFILE) or 0) & 0b101:
            found.append(tags)
        place = directory.next
    return found


def _page(tags: dict[int, Any], data: bytes, path: str) -> Page:
    samples = int(tags.get(_SAMPLES) or 1)
    bits = {int(one) for one in _several(tags.get(_BITS, 1))}
    kinds = {int(one) for one in _several(tags.get(_FORMAT, 1))}
    kind = _KINDS.get((next(iter(bits)), next(iter(kinds)))) if len(bits | kinds) <= 2 else None
    size = int(tags[_HEIGHT]), int(tags[_WIDTH])
    codec = int(tags.get(_CODEC) or 1)
    if kind is None or len(bits) > 1 or len(kinds) > 1:
        raise UserError(
            f'image {path!r} holds numbers of {sorted(bits)} bits, TIFF sample format '
            f'{sorted(kinds)}: expected 8 or 16 bits unsigned, 16 bits signed or float32; convert '
            'it, for example with gdal_translate -ot Float32'
        )
    if codec not in _CODECS:
        raise UserError(
            f'image {path!r} has TIFF compression {codec}: expected none, LZW, deflate, packbits, '
            'LZMA or zstd; convert it, for example with gdal_translate -co COMPRESS=DEFLATE'
        )
    if tags.get(_COLOURS) == _PALETTE:
        raise UserError(f'image {path!r} has a palette: expected bands; save it as RGB')
    if int(tags.get(_FILL_ORDER) or 1) != 1:
        raise UserError(
            f'image {path!r} has the bits of its bytes in reverse (TIFF FillOrder '
            f'{tags[_FILL_ORDER]}): expected FillOrder 1; save it again'
        )
    order = '<' if data[:2] == b'II' else '>'
    page = Page(size, samples, np.dtype(order + kind), tags)
    _check_bounds(math.prod(size), math.prod(size) * samples * page.dtype.itemsize, path)
    return page


def _check_bounds(pixels: int, total: int, path: str) -> None:
    if not 0 < pixels <= MOST_PIXELS or total > MOST_VALUES:
        raise UserError(
            f'image {path!r} is too large: {pixels} pixels, {total} bytes; expected 1 to '
            f'{MOST_PIXELS} pixels and at most {MOST_VALUES} bytes; cut it into tiles'
        )


def read_page(data: bytes, page: Page, path: str) -> np.ndarray:
    """Returns the (H, W, N) numbers of a page, whatever their order in the file.

    Args:
        data: Content of the file.
        page: From `pages_of`.
        path: For messages.

    Raises:
        UserError: If a strip or a tile is damaged.
    """
    try:
        return _read(data, page)
    except Exception as error:  # noqa: BLE001  a decoder of damaged data may raise anything
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise UserError(
            f'image {path!r} cannot be decoded: {reason}; expected a whole file; copy it again'
        ) from error


def _read(data: bytes, page: Page) -> np.ndarray:
    tags, (height, width) = page.tags, page.size
    tiled = _TILES in tags
    tall = int(tags[_TILE_HEIGHT] if tiled else min(int(tags.get(_ROWS) or height), height))
    wide = int(tags[_TILE_WIDTH] if tiled else width)
    if tall < 1 or wide < 1 or tall * wide > MOST_PIXELS:
        raise ValueError(f'strips or tiles of {tall} x {wide} pixels')
    starts = _several(tags[_TILES if tiled else _STRIPS])
    lengths = _several(tags[_TILE_BYTES if tiled else _STRIP_BYTES])
    apart = int(tags.get(_PLANES) or _PLAIN) == _SEPARATE and page.samples > 1
    deep = 1 if apart else page.samples
    rows, columns = math.ceil(height / tall), math.ceil(width / wide)
    if len(starts) != len(lengths) or len(starts) != rows * columns * (page.samples // deep):
        raise ValueError(f'{len(starts)} strips or tiles for {rows} x {columns} places')
    image = np.zeros((height, width, page.samples), page.dtype.newbyteorder('='))
    for index, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        plane, place = divmod(index, rows * columns)
        top, left = place // columns * tall, place % columns * wide
        # the last strip ends with the image; tiles are always whole
        lines = tall if tiled else min(tall, height - top)
        part = _segment(data[start : start + length], page, (lines, wide, deep))
        part = part[: height - top, : width - left]
        where = slice(plane, plane + 1) if apart else slice(None)
        image[top : top + part.shape[0], left : left + part.shape[1], where] = part
    return image


def _segment(content: bytes, page: Page, shape: tuple[int, int, int]) -> np.ndarray:
    """Returns the (h, w, n) numbers of a strip or tile."""
    lines, line = shape[0], shape[1] * shape[2] * page.dtype.itemsize
    codec = int(page.tags.get(_CODEC) or _PLAIN)
    if codec != _PLAIN:
        content = _decompress(content, codec, (lines, line))
    if len(content) < lines * line:
        raise ValueError(f'a strip or tile has {len(content)} bytes instead of {lines * line}')
    raw = np.frombuffer(content, np.uint8, lines * line).reshape(lines, line)
    predictor = int(page.tags.get(_PREDICTOR) or 1)
    if predictor == 3:  # differences of bytes, the most significant bytes first
        bytes_ = np.add.accumulate(raw.reshape(lines, -1, shape[2]), axis=1, dtype=np.uint8)
        bytes_ = bytes_.reshape(lines, page.dtype.itemsize, -1).transpose(0, 2, 1)
        return np.ascontiguousarray(bytes_).view('>f4').reshape(shape)
    if predictor == 2:  # differences of the bits as whole numbers, of floats too
        whole = np.dtype(f'{page.dtype.byteorder}u{page.dtype.itemsize}')
        native = whole.newbyteorder('=')
        values = raw.view(whole).reshape(shape).astype(native)
        added = np.add.accumulate(values, axis=1, dtype=native)
        return added.view(page.dtype.newbyteorder('='))
    if predictor != 1:
        raise ValueError(f'its predictor is {predictor}: expected 1, 2 or 3')
    return raw.view(page.dtype).reshape(shape)


def _decompress(content: bytes, codec: int, size: tuple[int, int]) -> bytes:
    """Returns the (lines x line) bytes of compressed data, by libtiff, as grey of 8 bits."""
    lines, line = size
    if _CODECS[codec] == 'deflate':  # several times faster than by libtiff, strip by strip
        return zlib.decompressobj().decompress(content, max(1, lines * line))
    entries = (
        (_WIDTH, line), (_HEIGHT, lines), (_BITS, 8), (_CODEC, codec), (_COLOURS, 1),
        (_STRIPS, 8 + 2 + 9 * 12 + 4), (_SAMPLES, 1), (_ROWS, lines), (_STRIP_BYTES, len(content)),
    )  # fmt: skip
    head = struct.pack('<4sIH', b'II*\0', 8, len(entries))
    body = b''.join(struct.pack('<HHII', tag, 4, 1, value) for tag, value in entries)
    whole = head + body + struct.pack('<I', 0) + content
    with Image.open(io.BytesIO(whole), formats=['TIFF']) as image:
        return image.tobytes()


def _several(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)
