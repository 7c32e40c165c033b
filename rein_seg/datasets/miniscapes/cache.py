"""Keeps rendered scenes on disk, so that they are made once."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from rein_seg.datasets.miniscapes.generator import GENERATOR_VERSION, check_request, render
from rein_seg.errors import UserError

_REPORT_EVERY = 20


def ensure_cached(
    root: str | os.PathLike[str],
    domain: str,
    split: str,
    count: int,
    *,
    seed: int = 0,
    size: tuple[int, int] = (256, 128),
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Makes sure that the first scenes of a split are on disk and returns the split's folder.

    The folder is root/v{version}-seed{seed}-{W}x{H}/{domain}/{split} and holds
    images/{index:05d}.png and labels/{index:05d}.png. Only missing pairs are rendered. Files appear
    complete or not at all, so a killed run and processes that work side by side do no harm.

    Args:
        root: Folder of all caches.
        domain: One of DOMAINS.
        split: One of SPLITS.
        count: Number of scenes, >= 1.
        seed: Seed of the data set.
        size: (width, height) in pixels.
        progress: Called now and then with (scenes done, scenes to make); not when none is missing.

    Raises:
        ValueError: If count < 1, or as `render`.
    """
    check_request(domain, split, seed=seed, size=size)
    if count < 1:
        raise UserError(f'count: got {count}, expected a whole number >= 1')
    name = f'v{GENERATOR_VERSION}-seed{seed}-{size[0]}x{size[1]}'
    folder = Path(root) / name / domain / split
    images, labels = folder / 'images', folder / 'labels'
    images.mkdir(parents=True, exist_ok=True)
    labels.mkdir(exist_ok=True)
    present = _numbers(images) & _numbers(labels)
    missing = [index for index in range(count) if f'{index:05d}.png' not in present]
    for done, index in enumerate(missing, start=1):
        scene = render(domain, split, index, seed=seed, size=size)
        _write(images / f'{index:05d}.png', scene.image)
        _write(labels / f'{index:05d}.png', scene.label)
        if progress and (done % _REPORT_EVERY == 0 or done == len(missing)):
            progress(done, len(missing))
    return folder


def _numbers(folder: Path) -> set[str]:
    return {entry.name for entry in os.scandir(folder) if entry.is_file()}


def _write(path: Path, picture: np.ndarray) -> None:
    """Writes a PNG under a temporary name in the same folder, then moves it into place."""
    done, code = cv2.imencode('.png', picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise OSError(f'{path}: OpenCV could not encode a {picture.shape} {picture.dtype} picture')
    handle, temporary = tempfile.mkstemp(prefix=f'.{path.stem}-', suffix='.tmp', dir=path.parent)
    try:
        with os.fdopen(handle, 'wb') as file:
            file.write(code.tobytes())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
