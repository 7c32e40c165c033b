"""Encoders of timm: EVA02, DINOv3."""

from rein_seg.encoders.timm.model import TimmEncoder

__all__ = ['TimmEncoder']
