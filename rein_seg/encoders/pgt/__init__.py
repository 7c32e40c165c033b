"""Pyramid group transformers (FTN's encoder)."""

from rein_seg.encoders.pgt import anatomy, weights
from rein_seg.encoders.pgt.model import PGT

__all__ = ['PGT', 'anatomy', 'weights']
