"""The image encoder of Segment Anything."""

from rein_seg.encoders.sam import weights
from rein_seg.encoders.sam.model import SAMViT

__all__ = ['SAMViT', 'weights']
