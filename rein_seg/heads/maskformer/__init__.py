"""MaskFormer in plain PyTorch, its queries classified by a linear or by the class names."""

from rein_seg.heads.maskformer.head import MaskFormerHead
from rein_seg.heads.maskformer.loss import MaskFormerLoss

__all__ = ['MaskFormerHead', 'MaskFormerLoss']
