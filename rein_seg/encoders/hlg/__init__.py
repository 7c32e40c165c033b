"""HLG: hierarchical local-global transformers."""

from rein_seg.encoders.hlg import anatomy, weights
from rein_seg.encoders.hlg.model import HLGTransformer

__all__ = ['HLGTransformer', 'anatomy', 'weights']
