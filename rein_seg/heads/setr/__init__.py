"""SETR's decoders of plain maps: Naive, progressive upsampling (PUP), multi-level (MLA)."""

from rein_seg.heads.setr.head import SETRHead

__all__ = ['SETRHead']
