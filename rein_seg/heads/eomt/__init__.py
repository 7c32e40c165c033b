"""EoMT: the last blocks of the encoder decode the queries."""

from rein_seg.heads.eomt.head import EoMTHead

__all__ = ['EoMTHead']
