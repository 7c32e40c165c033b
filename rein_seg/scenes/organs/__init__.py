"""Organs: procedural slices of abdominal CT volumes, in one source and four unseen scanners.

Needs NumPy and OpenCV only. `render` makes a slice, `ensure_cached` keeps a split on disk.
"""

from rein_seg.scenes.drawing.request import SPLITS
from rein_seg.scenes.organs.cache import ensure_cached
from rein_seg.scenes.organs.domains import DOMAINS
from rein_seg.scenes.organs.generator import CLASSES, GENERATOR_VERSION, SLICES, Slice, render

__all__ = [
    'CLASSES',
    'DOMAINS',
    'GENERATOR_VERSION',
    'SLICES',
    'SPLITS',
    'Slice',
    'ensure_cached',
    'render',
]
