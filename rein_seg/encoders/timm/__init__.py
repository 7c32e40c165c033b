"""Models of timm by name: vision transformers such as DINOv3, and networks of stages."""

from rein_seg.encoders.timm import anatomy, features, stages_anatomy, stages_weights, weights
from rein_seg.encoders.timm.model import TimmEncoder
from rein_seg.encoders.timm.stages import TimmStages

__all__ = [
    'TimmEncoder',
    'TimmStages',
    'anatomy',
    'features',
    'stages_anatomy',
    'stages_weights',
    'weights',
]
