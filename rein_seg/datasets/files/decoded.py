"""Decoded copies of pictures on disk: equal bit for bit, and read several times faster than PNG.

Inflating and unfiltering a PNG takes most of a loader's time. A copy is a TIFF (zstd over
differences of neighbours, about the size of the PNG), or raw (three times as large).

H x W image.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from rein_seg.checkpoint import atomic_path
from rein_seg.datasets.files.listing import file_on_disk
from rein_seg.errors import UserError

_PREDICTOR, _ROWS_PER_STRIP = 317, 278  # TIFF tags
_DIFFERENCES, _NONE = 2, 1
_STRIP = 64  # rows; each strip is compressed alone


def cached(
    folder: str, source: str, flavour: str, make: Callable[[], np.ndarray], *, raw: bool = False
) -> np.ndarray:
    """Returns the picture that ``make`` makes, from its copy on disk if there is one.

    Otherwise calls ``make`` and writes the copy.

    Args:
        folder: Folder of the copies.
        source: File that the picture is made from, or a member of a zip. If it changes, so does
            the name of the copy.
        flavour: Everything else that the picture depends on.
        make: Returns (H, W) or (H, W, 3) uint8.
        raw: Whether to write copies uncompressed.

    Raises:
        UserError: If a copy cannot be read or written.

    Example:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from rein_seg.datasets.files.decoded import cached
        >>> _ = Path('a.png').write_bytes(b'')
        >>> calls = []
        >>> def make():
        ...     calls.append('made')
        ...     return np.zeros((4, 4), np.uint8)
        >>> [cached('copies', 'a.png', 'grey', make).shape for _ in range(3)], calls
        ([(4, 4), (4, 4), (4, 4)], ['made'])
    """
    path = _place(folder, source, flavour).with_suffix('.npy' if raw else '.tif')
    if path.is_file():
        return _read(path)
    array = make()
    if array.dtype != np.uint8:
        raise UserError(f'cache_dir={folder!r} keeps uint8 pictures; {source!r} is {array.dtype}')
    try:
        with atomic_path(path) as temporary:
            temporary.write_bytes(_raw(array) if raw else _encode(array))
    except OSError as error:
        raise UserError(
            f'cache_dir={folder!r}: no copy of {source!r} can be written: {error}; make room, or '
            'leave cache_dir out'
        ) from error
    return array


def _place(folder: str, source: str, flavour: str) -> Path:
    # a changed source gets another name, so stale copies are never read
    state = os.stat(file_on_disk(source))
    key = f'{os.path.abspath(source)}|{state.st_mtime_ns}|{state.st_size}|{flavour}'
    name = hashlib.sha256(key.encode()).hexdigest()[:40]
    return Path(folder, name[:2], name)


def _read(path: Path) -> np.ndarray:
    try:
        if path.suffix == '.npy':
            return np.load(path, allow_pickle=False)
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            return np.array(image)
    except (OSError, ValueError, EOFError, UnidentifiedImageError, SyntaxError) as error:
        raise UserError(f'decoded copy {str(path)!r} cannot be read: {error}; delete it') from error


def _raw(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, np.ascontiguousarray(array), allow_pickle=False)
    return out.getvalue()


def _encode(array: np.ndarray, compression: str | None = None) -> bytes:
    """Encodes uint8 pixels; the channels keep their order, be they RGB or BGR."""
    out = io.BytesIO()
    # differences of neighbours compress photographs better, labels worse
    predictor = _DIFFERENCES if array.ndim == 3 else _NONE
    Image.fromarray(np.ascontiguousarray(array)).save(
        out,
        'TIFF',
        compression=compression or _compression(),
        tiffinfo={_PREDICTOR: predictor, _ROWS_PER_STRIP: _STRIP},
    )
    return out.getvalue()


@lru_cache(maxsize=1)
def _compression() -> str:
    """Returns zstd, or LZW (read half as fast) where Pillow's libtiff has no zstd."""
    try:
        _encode(np.zeros((1, 1), np.uint8), 'zstd')
    except (OSError, RuntimeError):
        return 'tiff_lzw'
    return 'zstd'
