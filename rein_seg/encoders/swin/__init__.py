"""Swin transformers."""

from rein_seg.encoders.swin import anatomy, weights, windows
from rein_seg.encoders.swin.model import Swin

__all__ = ['Swin', 'anatomy', 'weights', 'windows']
