"""Plain vision transformers: one width, one grid, all blocks alike (DINOv2, CLIP, SETR, tiny)."""

from rein_seg.encoders.plain_vit import anatomy, dinov2, setr, tiny_clip, tiny_vit
from rein_seg.encoders.plain_vit.dinov2 import DINOv2
from rein_seg.encoders.plain_vit.model import PlainViT
from rein_seg.encoders.plain_vit.setr import SETRViT
from rein_seg.encoders.plain_vit.tiny_clip import TinyCLIP
from rein_seg.encoders.plain_vit.tiny_vit import TinyViT

__all__ = [
    'DINOv2',
    'PlainViT',
    'SETRViT',
    'TinyCLIP',
    'TinyViT',
    'anatomy',
    'dinov2',
    'setr',
    'tiny_clip',
    'tiny_vit',
]
