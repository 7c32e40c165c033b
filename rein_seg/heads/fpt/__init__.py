"""The feature pyramid transformer (FTN's head)."""

from rein_seg.heads.fpt.head import FPTHead

__all__ = ['FPTHead']
