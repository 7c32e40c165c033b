"""Vision transformers of timm by name, such as EVA02 and DINOv3."""

from rein_seg.encoders.timm import anatomy, features, weights
from rein_seg.encoders.timm.model import TimmEncoder

__all__ = ['TimmEncoder', 'anatomy', 'features', 'weights']
