"""PMT: plain transformer blocks of their own decode queries and features of several depths."""

from rein_seg.heads.pmt.head import PMTHead

__all__ = ['PMTHead']
