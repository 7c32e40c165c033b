"""Plain vision transformers: one width, one grid, all blocks alike (DINOv2, CLIP, TinyViT)."""

from rein_seg.encoders.plain_vit import anatomy, dinov2, tiny_vit
from rein_seg.encoders.plain_vit.model import PlainViT

__all__ = ['PlainViT', 'anatomy', 'dinov2', 'tiny_vit']
