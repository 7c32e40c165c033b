"""Shared parts of mask decoders that are plain transformers: predictions, masks, upscaling."""

from rein_seg.heads.plain_masks.head import PlainMaskHead

__all__ = ['PlainMaskHead']
