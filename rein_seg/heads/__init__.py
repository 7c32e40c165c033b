"""Decode heads of our own; mmseg's are used as they are."""

from rein_seg.heads.linear_head import LinearHead
from rein_seg.heads.mask2former import Mask2FormerHead

__all__ = ['LinearHead', 'Mask2FormerHead']
