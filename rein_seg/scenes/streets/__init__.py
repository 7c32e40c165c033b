"""MiniScapes: procedural street scenes with Cityscapes' classes, in one source and five targets.

Needs NumPy and OpenCV only. `render` makes a scene, `ensure_cached` keeps a split on disk.
"""

from rein_seg.scenes.drawing.request import SPLITS
from rein_seg.scenes.streets.cache import ensure_cached
from rein_seg.scenes.streets.domains import DOMAINS
from rein_seg.scenes.streets.generator import GENERATOR_VERSION, Scene, render

__all__ = ['DOMAINS', 'GENERATOR_VERSION', 'SPLITS', 'Scene', 'ensure_cached', 'render']
