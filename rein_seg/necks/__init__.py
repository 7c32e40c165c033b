"""Necks: turn maps of one size into a pyramid."""

from rein_seg.necks.conv_pyramid import ConvPyramid
from rein_seg.necks.token_pyramid import TokenPyramid

__all__ = ['ConvPyramid', 'TokenPyramid']
