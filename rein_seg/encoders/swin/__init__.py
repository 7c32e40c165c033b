"""Swin transformers."""

from rein_seg.encoders.swin import weights
from rein_seg.encoders.swin.model import Swin

__all__ = ['Swin', 'weights']
