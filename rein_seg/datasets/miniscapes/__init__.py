"""MiniScapes: procedural street scenes with Cityscapes' classes, in one source and five targets.

Needs NumPy and OpenCV only. `render` makes a scene, `ensure_cached` keeps a split on disk.
"""

from rein_seg.datasets.miniscapes.cache import ensure_cached
from rein_seg.datasets.miniscapes.domains import DOMAINS
from rein_seg.datasets.miniscapes.generator import GENERATOR_VERSION, Scene, render
from rein_seg.datasets.procedural.request import SPLITS

__all__ = ['DOMAINS', 'GENERATOR_VERSION', 'SPLITS', 'Scene', 'ensure_cached', 'render']
