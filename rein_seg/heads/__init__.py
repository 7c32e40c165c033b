"""Decode heads of our own; mmseg's are used as they are."""

from rein_seg.heads.linear_head import LinearHead

__all__ = ['LinearHead']
