"""Encoder families: where things are in each, found by the encoder's class."""

from rein_seg.encoders import convnext, vit
from rein_seg.encoders.build import build_encoder, convert_weights, find_anatomy, shapes_only

__all__ = ['build_encoder', 'convert_weights', 'convnext', 'find_anatomy', 'shapes_only', 'vit']
