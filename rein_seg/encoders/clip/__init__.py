"""The image tower of CLIP."""

from rein_seg.encoders.clip.model import CLIPViT

__all__ = ['CLIPViT']
