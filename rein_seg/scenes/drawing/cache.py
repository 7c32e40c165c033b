"""Keeps drawn pictures and their labels on disk, so that they are made once."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from rein_seg.errors import UserError

_REPORT_EVERY = 20


def fill_folder(
    folder: Path,
    count: int,
    *,
    draw: Callable[[int], tuple[np.ndarray, np.ndarray]],
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Draws missing pictures among the first of a split; returns its folder.

    The folder holds images/{index:05d}.png and labels/{index:05d}.png. Files appear complete or not
    at all, so killed runs and parallel processes do no harm.

    Args:
        folder: Folder of the split; its name must contain everything that its pictures depend on.
        count: Number of pictures, >= 1.
        draw: Returns image (H, W, 3), uint8, BGR, and label (H, W), uint8, of an index.
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
    images, labels = folder / 'images', folder / 'labels'
    images.mkdir(parents=True, exist_ok=True)
    labels.mkdir(exist_ok=True)
    present = _numbers(images) & _numbers(labels)
    missing = [index for index in range(count) if f'{index:05d}.png' not in present]
    for done, index in enumerate(missing, start=1):
        image, label = draw(index)
        _write(images / f'{index:05d}.png', image)
        _write(labels / f'{index:05d}.png', label)
        if progress and (done % _REPORT_EVERY == 0 or done == len(missing)):
            progress(done, len(missing))
    return folder


def split_folder(
    root: str | os.PathLike[str],
    domain: str,
    split: str,
    *,
    version: int,
    seed: int,
    size: tuple[int, int],
) -> Path:
    """Returns root/v{version}-seed{seed}-{W}x{H}/{domain}/{split}."""
    return Path(root) / f'v{version}-seed{seed}-{size[0]}x{size[1]}' / domain / split


def _numbers(folder: Path) -> set[str]:
    return {entry.name for entry in os.scandir(folder) if entry.is_file()}


def _write(path: Path, picture: np.ndarray) -> None:
    """Writes a PNG under a temporary name in the same folder, then moves it into place."""
    # a fast level, since drawing waits for the encoder
    done, code = cv2.imencode('.png', picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise OSError(f'{path}: OpenCV could not encode a {picture.shape} {picture.dtype} picture')
    handle, temporary = tempfile.mkstemp(prefix=f'.{path.stem}-', suffix='.tmp', dir=path.parent)
    try:
        with os.fdopen(handle, 'wb') as file:
            file.write(code.tobytes())
        os.chmod(temporary, 0o644)  # mkstemp makes files that only their owner can read
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
