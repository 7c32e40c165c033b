"""Keeps pictures of vehicles on disk, so that they are made once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from rein_seg.scenes.drawing.cache import draw_split
from rein_seg.scenes.streets.domains import DOMAINS
from rein_seg.scenes.vehicles.generator import GENERATOR_VERSION, render


def ensure_cached(
    root: str | os.PathLike[str],
    domain: str,
    split: str,
    count: int,
    *,
    seed: int = 0,
    size: tuple[int, int] = (96, 72),
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Renders missing pictures among the first of a split to disk; returns the split's folder.

    Args:
        root: Folder of all caches.
        domain: One of DOMAINS.
        split: One of SPLITS.
        count: Number of pictures, >= 1.
        seed: Seed of the data set.
        size: (width, height) in pixels.
        progress: As `fill_folder`.

    Raises:
        ValueError: If count < 1, or as `render`.

    Example:
        >>> from rein_seg.scenes.vehicles import ensure_cached
        >>> ensure_cached('cache', 'rain', 'val', 1, size=(64, 48)).as_posix()
        'cache/v1-seed0-64x48/rain/val'
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
        labelled=False,
        progress=progress,
    )
