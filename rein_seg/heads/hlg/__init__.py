"""HLG's decode head."""

from rein_seg.heads.hlg.head import HLGHead

__all__ = ['HLGHead']
