"""Encoder families: the model, its anatomy and the names in its files, side by side."""

from rein_seg.encoders import clip, convnext, plain_vit, resnet, sam, swin, timm
from rein_seg.encoders.build import (
    SharedEncoder,
    build_encoder,
    convert_weights,
    find_anatomy,
    shapes_only,
    sharing,
)
from rein_seg.encoders.file_layout import FileLayout, to_file_layout, to_mmpretrain

__all__ = [
    'FileLayout',
    'SharedEncoder',
    'build_encoder',
    'clip',
    'convert_weights',
    'convnext',
    'find_anatomy',
    'plain_vit',
    'resnet',
    'sam',
    'shapes_only',
    'sharing',
    'swin',
    'timm',
    'to_file_layout',
    'to_mmpretrain',
]
