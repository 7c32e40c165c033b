"""SAM's mask decoder as a decode head."""

from rein_seg.heads.sam.head import SAMHead

__all__ = ['SAMHead']
