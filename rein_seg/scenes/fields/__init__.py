"""Fields: procedural aerial images of five bands, in one source and four unseen seasons.

Needs NumPy and OpenCV only. `render` makes an image, `ensure_cached` keeps a split on disk.
"""

from rein_seg.scenes.drawing.request import SPLITS
from rein_seg.scenes.fields.cache import ensure_cached
from rein_seg.scenes.fields.domains import DOMAINS
from rein_seg.scenes.fields.generator import BANDS, CLASSES, GENERATOR_VERSION, Field, render

__all__ = [
    'BANDS',
    'CLASSES',
    'DOMAINS',
    'GENERATOR_VERSION',
    'SPLITS',
    'Field',
    'ensure_cached',
    'render',
]
