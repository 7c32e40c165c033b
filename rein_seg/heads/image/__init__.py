"""Heads that say one thing about a whole image: its class, or an embedding of it."""

from rein_seg.heads.image.contract import ImageHead
from rein_seg.heads.image.linear import LinearImageHead

__all__ = ['ImageHead', 'LinearImageHead']
