"""ResNetV2 with standardised weights: model, anatomy and key map."""

from rein_seg.encoders.resnetv2 import anatomy, weights
from rein_seg.encoders.resnetv2.model import ResNetV2

__all__ = ['ResNetV2', 'anatomy', 'weights']
