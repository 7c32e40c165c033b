"""Keeps rendered images on disk, so that they are made once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from rein_seg.scenes.drawing.cache import draw_split
from rein_seg.scenes.fields.domains import DOMAINS
from rein_seg.scenes.fields.generator import GENERATOR_VERSION, render


def ensure_cached(
    root: str | os.PathLike[str],
    domain: str,
    split: str,
    count: int,
    *,
    seed: int = 0,
    size: tuple[int, int] = (128, 128),
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Renders missing images among the first of a split to disk; returns the split's folder.

    Images are TIFF files of five bands and 16 bits, labels PNG.

    Args:
        root: Folder of all caches.
        domain: One of DOMAINS.
        split: One of SPLITS.
        count: Number of images, >= 1.
        seed: Seed of the data set.
        size: (width, height) in pixels.
        progress: As `fill_folder`.

    Raises:
        ValueError: If count < 1, or as `render`.

    Example:
        >>> from rein_seg.scenes.fields import ensure_cached
        >>> folder = ensure_cached('cache', 'autumn', 'val', 1, size=(32, 32))
        >>> [path.name for path in sorted(folder.glob('*/*'))]
        ['00000.tif', '00000.png']
    """
    return draw_split(
        root,
        domain,
        split,
        count,
        render=render,
        domains=DOMAINS,
        version=GENERATOR_VERSION,
        seed=seed,
        size=size,
        image_suffix='.tif',
        progress=progress,
    )
