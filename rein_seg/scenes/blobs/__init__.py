"""Blobs: procedural lesions and animals that hide in their surroundings, for binary segmentation.

Needs NumPy and OpenCV only. `render` makes a picture, `ensure_cached` keeps a split on disk.
"""

from rein_seg.scenes.blobs.cache import ensure_cached
from rein_seg.scenes.blobs.domains import DOMAINS
from rein_seg.scenes.blobs.generator import GENERATOR_VERSION, Picture, render
from rein_seg.scenes.drawing.request import SPLITS

__all__ = ['DOMAINS', 'GENERATOR_VERSION', 'SPLITS', 'Picture', 'ensure_cached', 'render']
