"""A reconstruction of RepSep: two pathways, separation, discriminative cross-attention."""

from rein_seg.heads.repsep.head import RepSepHead

__all__ = ['RepSepHead']
