"""Necks: turn the maps of an encoder into others."""

from rein_seg.necks.cat import CATNeck
from rein_seg.necks.conv_pyramid import ConvPyramid
from rein_seg.necks.lv_adapter import LVAdapter
from rein_seg.necks.pixel_text import PixelTextNeck
from rein_seg.necks.token_pyramid import TokenPyramid

__all__ = ['CATNeck', 'ConvPyramid', 'LVAdapter', 'PixelTextNeck', 'TokenPyramid']
