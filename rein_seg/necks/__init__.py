"""Token maps to pyramids."""

from rein_seg.necks.token_pyramid import TokenPyramid

__all__ = ['TokenPyramid']
