"""The image encoder of Segment Anything."""

from rein_seg.encoders.sam import anatomy, weights
from rein_seg.encoders.sam.model import SAMViT

__all__ = ['SAMViT', 'anatomy', 'weights']
