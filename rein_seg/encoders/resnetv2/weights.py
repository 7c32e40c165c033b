"""Files of timm's hybrid vision transformers into `ResNetV2`: their convolutional half."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from rein_seg.encoders.resnetv2.model import ResNetV2
from rein_seg.encoders.weights import HEADS, Converted, leave_out, strip_prefix
from rein_seg.errors import UserError
from rein_seg.registry import register_key_map

_ANCHOR = 'stem.conv.weight'
_TRANSFORMER = r'(patch_embed\.proj|blocks|norm|cls_token|pos_embed|pre_logits|dist_token)\b'
_OTHERS = '|'.join([_TRANSFORMER, *(re.escape(name) for name in HEADS)])
_NAMES = {(3, 4, 9): 'R50 of R50+ViT', (2, 2, 2, 2): 'R26 of R26+ViT'}


@register_key_map(ResNetV2)
def convert_resnetv2(encoder: ResNetV2, state: dict[str, Tensor]) -> Converted:
    """Converts a file of timm: a hybrid, whose transformer is left out, or its convolutions alone.

    Raises:
        UserError: If the file is of BiT (activations before convolutions, no norm in the stem) or
            has other numbers of blocks.
    """
    # a hybrid has them below patch_embed.backbone
    tensors, left_out = leave_out(state, _OTHERS)
    tensors = strip_prefix(tensors, _ANCHOR)
    if _ANCHOR not in tensors:
        return Converted(state)  # not a ResNetV2: strict loading lists the names
    if 'stem.norm.weight' not in tensors:
        raise UserError(
            'the weights file is a ResNetV2 of BiT (no stem.norm: its activations come before the '
            'convolutions): this encoder is the ResNetV2 of R50+ViT; take a file such as timm '
            'vit_base_r50_s16_224'
        )
    found = _depths(tensors)
    if found != encoder.depths:
        theirs, ours = (_NAMES.get(d, 'ResNetV2 of no usual size') for d in (found, encoder.depths))
        raise UserError(
            f'the weights file is the {theirs}: blocks {list(found)}; the encoder is the {ours}: '
            f'blocks {list(encoder.depths)}; set encoder.depths to the file, or encoder.checkpoint '
            'to a file of this size'
        )
    return Converted(tensors, left_out)


def _depths(tensors: Mapping[str, Tensor]) -> tuple[int, ...]:
    pairs = {
        (int(match[1]), int(match[2]))
        for match in (re.match(r'stages\.(\d+)\.blocks\.(\d+)\.', name) for name in tensors)
        if match
    }
    stages = 1 + max((stage for stage, _ in pairs), default=-1)
    return tuple(sum(stage == s for s, _ in pairs) for stage in range(stages))
