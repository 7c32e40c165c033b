"""Mask2Former in plain PyTorch: no mmdet, no compiled operation."""

from rein_seg.heads.mask2former.head import Mask2FormerHead

__all__ = ['Mask2FormerHead']
