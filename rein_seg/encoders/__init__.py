"""Encoder families: the model, its anatomy and the names in its files, side by side."""

from rein_seg.encoders import (
    clip,
    convnext,
    ddrnet,
    hlg,
    ibn_resnet,
    pgt,
    plain_vit,
    pvt,
    resnet,
    resnetv2,
    sam,
    swin,
    timm,
    torchvision_vit,
    transformers_vit,
)
from rein_seg.encoders.anatomy import find_anatomy
from rein_seg.encoders.build import build_encoder, fetch_weights
from rein_seg.encoders.convert import convert_weights
from rein_seg.encoders.file_layout import FileLayout, to_file_layout
from rein_seg.encoders.info import EncoderInfo
from rein_seg.encoders.locate import locate
from rein_seg.encoders.mmpretrain_layout import to_mmpretrain
from rein_seg.encoders.shapes_only import shapes_only
from rein_seg.encoders.sharing import SharedEncoder, sharing
from rein_seg.encoders.source import SOURCE_KEYS, WeightSource

__all__ = [
    'SOURCE_KEYS',
    'EncoderInfo',
    'FileLayout',
    'SharedEncoder',
    'WeightSource',
    'build_encoder',
    'clip',
    'convert_weights',
    'convnext',
    'ddrnet',
    'fetch_weights',
    'find_anatomy',
    'hlg',
    'ibn_resnet',
    'locate',
    'pgt',
    'plain_vit',
    'pvt',
    'resnet',
    'resnetv2',
    'sam',
    'shapes_only',
    'sharing',
    'swin',
    'timm',
    'to_file_layout',
    'to_mmpretrain',
    'torchvision_vit',
    'transformers_vit',
]
