"""Pyramid vision transformers, versions 1 and 2."""

from rein_seg.encoders.pvt import anatomy, weights
from rein_seg.encoders.pvt.model import PVT

__all__ = ['PVT', 'anatomy', 'weights']
