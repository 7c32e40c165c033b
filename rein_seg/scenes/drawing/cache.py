"""Keeps drawn pictures and their labels on disk, so that they are made once.

Each PNG carries a digest of its content and of its place in a text chunk before its end, each TIFF
behind its end: a picture that was changed, damaged or put in another place is drawn again.
"""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rein_seg.errors import UserError
from rein_seg.scenes.drawing.request import check_request
from rein_seg.scenes.drawing.tiff import encode_tiff

_REPORT_EVERY = 20
_KEYWORD = b'tEXtrein_seg digest\0'
_END = 12  # bytes of the chunk that ends a PNG
_CHUNK = 4 + len(_KEYWORD) + 64 + 4  # length, kind and keyword, hexadecimal digest, checksum


def fill_folder(
    folder: Path,
    count: int,
    *,
    draw: Callable[[int], Sequence[np.ndarray]],
    kinds: Sequence[str] = ('images', 'labels'),
    suffixes: Sequence[str] = ('.png', '.png'),
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Draws missing and changed pictures among the first of a split; returns its folder.

    The folder holds {kind}/{index:05d}{suffix} for each kind. Files appear complete or not at all,
    so killed runs and parallel processes do no harm.

    Args:
        folder: Folder of the split; its name must contain everything that its pictures depend on.
        count: Number of pictures, >= 1.
        draw: Returns a picture of each kind of an index: image (H, W, 3), uint8, BGR, and label
            (H, W), uint8; a TIFF takes (H, W, N) of any bands.
        kinds: Folders of the pictures.
        suffixes: Of the files of each kind, ``.png`` or ``.tif``.
        progress: Called regularly with (pictures done, pictures to make), if any is missing.

    Raises:
        ValueError: If count < 1.

    Example:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from rein_seg.scenes.drawing.cache import fill_folder
        >>> def draw(index):
        ...     return np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8)
        >>> folder = fill_folder(Path('split'), 2, draw=draw)
        >>> sorted(path.name for path in folder.glob('*/*'))
        ['00000.png', '00000.png', '00001.png', '00001.png']
    """
    if count < 1:
        raise UserError(f'count: got {count}, expected a whole number >= 1')
    for kind in kinds:
        (folder / kind).mkdir(parents=True, exist_ok=True)

    def places(index: int) -> list[Path]:
        named = zip(kinds, suffixes, strict=False)
        return [folder / kind / f'{index:05d}{suffix}' for kind, suffix in named]

    missing = [i for i in range(count) if not all(_is_whole(path) for path in places(i))]
    for done, index in enumerate(missing, start=1):
        for path, picture in zip(places(index), draw(index), strict=True):
            _write(path, picture)
        if progress and (done % _REPORT_EVERY == 0 or done == len(missing)):
            progress(done, len(missing))
    return folder


def draw_split(
    root: str | os.PathLike[str],
    domain: str,
    split: str,
    count: int,
    *,
    render: Callable[..., Any],
    domains: Sequence[str],
    version: int,
    seed: int,
    size: tuple[int, int],
    labelled: bool = True,
    image_suffix: str = '.png',
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Draws missing pictures of a world; see `fill_folder`.

    Args:
        root: Folder of all caches.
        domain: One of ``domains``.
        split: One of SPLITS.
        count: Number of pictures, >= 1.
        render: Of the world: (domain, split, index, seed=, size=) -> object with image and label.
        domains: Of the world.
        version: Of its generator.
        seed: Seed of the data set.
        size: (width, height) in pixels.
        labelled: Whether what ``render`` returns has a label picture beside the image.
        image_suffix: Of image files; ``.tif`` for images of several bands.
        progress: As `fill_folder`.

    Returns:
        root/v{version}-seed{seed}-{W}x{H}/{domain}/{split}.

    Raises:
        ValueError: If count < 1, or as ``render``.
    """
    check_request(domain, split, domains=domains, seed=seed, size=size)

    def draw(index: int) -> list[np.ndarray]:
        drawn = render(domain, split, index, seed=seed, size=size)
        return [drawn.image, drawn.label] if labelled else [drawn.image]

    folder = Path(root) / f'v{version}-seed{seed}-{size[0]}x{size[1]}' / domain / split
    kinds = ('images', 'labels') if labelled else ('images',)
    suffixes = (image_suffix, '.png')
    return fill_folder(folder, count, draw=draw, kinds=kinds, suffixes=suffixes, progress=progress)


def _is_whole(path: Path) -> bool:
    """Tells whether a picture is there as it was drawn."""
    try:
        state = path.stat()
    except OSError:
        return False
    return _has_digest(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=2**16)
def _has_digest(path: Path, changed: int, size: int) -> bool:
    """Tells whether a file carries its digest; kept for each state of the file."""
    try:
        data = path.read_bytes()
    except OSError:
        return False
    end = _END if path.suffix == '.png' else 0
    body, chunk = data[: len(data) - end - _CHUNK], data[len(data) - end - _CHUNK : len(data) - end]
    return chunk == _chunk(body, path)


def _chunk(body: bytes, path: Path) -> bytes:
    # with its place below the cache: whole, but another scene's is as wrong as damaged
    place = '/'.join(path.parts[-5:])
    digest = hashlib.sha256(place.encode() + b'\0' + body).hexdigest()
    content = _KEYWORD + digest.encode()
    length, checksum = len(content) - 4, zlib.crc32(content)
    return struct.pack('>I', length) + content + struct.pack('>I', checksum)


def _write(path: Path, picture: np.ndarray) -> None:
    """Writes a picture under a temporary name in the same folder, then moves it into place."""
    if path.suffix == '.tif':
        data = encode_tiff(picture)
        return _put(path, data + _chunk(data, path))
    # a fast level, since drawing waits for the encoder
    done, code = cv2.imencode('.png', picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise OSError(f'{path}: OpenCV could not encode a {picture.shape} {picture.dtype} picture')
    data = code.tobytes()
    return _put(path, data[:-_END] + _chunk(data[:-_END], path) + data[-_END:])


def _put(path: Path, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(prefix=f'.{path.stem}-', suffix='.tmp', dir=path.parent)
    try:
        with os.fdopen(handle, 'wb') as file:
            file.write(data)
        os.chmod(temporary, 0o644)  # mkstemp makes files that only their owner can read
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
