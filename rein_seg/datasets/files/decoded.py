"""Decoded copies of pictures on disk: equal bit for bit, and read several times faster than PNG.

Inflating and unfiltering a PNG takes most of a loader's time. A copy is a TIFF (zstd over
differences of neighbours, about the size of the PNG), or raw (three times as large). A digest at
its end shows damage: such a copy is made again.

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
from mmengine.logging import print_log
from PIL import Image

from rein_seg.checkpoint import atomic_path
from rein_seg.datasets.files.listing import file_on_disk
from rein_seg.errors import UserError

_PREDICTOR, _ROWS_PER_STRIP = 317, 278  # TIFF tags
_DIFFERENCES, _NONE = 2, 1
_STRIP = 64  # rows; each strip is compressed alone
_FORMAT = 2  # of a copy; part of its name
_DIGEST = 16  # bytes
# copies whose digest was right, with the state of their file: hashing takes longer than reading
_verified: set[tuple[str, int, int]] = set()


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
        UserError: If a copy cannot be opened or written.

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
    known = _read(path) if path.is_file() else None
    if known is not None:
        return known
    array = make()
    if array.dtype != np.uint8:
        raise UserError(f'cache_dir={folder!r} keeps uint8 pictures; {source!r} is {array.dtype}')
    try:
        with atomic_path(path) as temporary:
            data = _raw(array) if raw else _encode(array)
            temporary.write_bytes(data + _digest(data, path))
    except OSError as error:
        raise UserError(
            f'cache_dir={folder!r}: no copy of {source!r} can be written: {error}; make room, or '
            'leave cache_dir out'
        ) from error
    return array


def _place(folder: str, source: str, flavour: str) -> Path:
    # a changed source gets another name, so stale copies are never read
    state = os.stat(file_on_disk(source))
    key = f'{_FORMAT}|{os.path.abspath(source)}|{state.st_mtime_ns}|{state.st_size}|{flavour}'
    name = hashlib.sha256(key.encode()).hexdigest()[:40]
    return Path(folder, name[:2], name)


def _read(path: Path) -> np.ndarray | None:
    """Returns a copy's picture, None if it is damaged or another picture's."""
    try:
        with path.open('rb') as file:
            state = os.fstat(file.fileno())
            content = file.read()
    except OSError as error:
        raise UserError(f'decoded copy {str(path)!r} cannot be read: {error}; delete it') from error
    data, key = content[:-_DIGEST], (str(path), state.st_mtime_ns, state.st_size)
    if key not in _verified:
        if content[-_DIGEST:] != _digest(data, path):
            print_log(f'decoded copy {str(path)!r} is damaged: it is made again', logger='current')
            return None
        _verified.add(key)
    if path.suffix == '.npy':
        return np.load(io.BytesIO(data), allow_pickle=False)
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image)


def _digest(data: bytes, path: Path) -> bytes:
    # with its name: a copy of another picture is as wrong as a damaged one
    return hashlib.blake2b(data, digest_size=_DIGEST, key=path.stem.encode()).digest()


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
