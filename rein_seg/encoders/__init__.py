"""Encoder families: where things are in each, found by the encoder's class."""

from rein_seg.encoders import (
    clip,
    convnext,
    dinov2,
    resnet,
    sam_weights,
    swin_weights,
    timm,
    tiny_vit,
    vit,
    vit_sam,
)
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
    'dinov2',
    'find_anatomy',
    'resnet',
    'sam_weights',
    'shapes_only',
    'sharing',
    'swin_weights',
    'timm',
    'tiny_vit',
    'to_file_layout',
    'to_mmpretrain',
    'vit',
    'vit_sam',
]
