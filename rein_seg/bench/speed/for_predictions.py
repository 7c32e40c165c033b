"""Models for predictions alone: merged for speed, or as mmseg's own classes compute them.

B batch, H x W image, p planes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.config import ConfigDict
from mmseg.registry import MODELS
from torch import nn

from rein_seg.encoders.ddrnet import DualResNet
from rein_seg.errors import UserError
from rein_seg.fast.merged_norms import merge_norms
from rein_seg.heads import DDRNetHead


def merged_model(model: nn.Module, size: Sequence[int]) -> nn.Module:
    """Returns a copy with the method and the batch norms merged into the weights, channels last.

    Args:
        model: A segmentor.
        size: (H, W) of an image that it takes.

    Raises:
        UserError: If the method cannot be merged, or the copy would predict something else.
    """
    if hasattr(model.backbone, 'merge'):
        try:
            model.backbone.merge()
        except NotImplementedError as error:
            raise UserError(f'merged=True: {error}; leave it out') from error
    device = next(model.parameters()).device
    image = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0)).to(device)
    metas = [dict(img_shape=tuple(size))]
    return merge_norms(model, lambda each: each.encode_decode(image, metas))


def as_mmseg(model: nn.Module) -> nn.Module:
    """Returns mmseg's segmentor of the same sizes, with random weights.

    Args:
        model: A `PEFTSegmentor` of `DualResNet` and `DDRNetHead`.

    Raises:
        UserError: If it is another model, or DDRNet-39, which mmseg does not have.

    Example:
        >>> import rein_seg.apis
        >>> from mmseg.registry import MODELS
        >>> from rein_seg.bench.speed.for_predictions import as_mmseg
        >>> arch = dict(planes=4, layers=[2, 2, 2, 2], spp_planes=8)
        >>> encoder = dict(type='DualResNet', arch=arch, init_seed=0)
        >>> backbone = dict(type='PEFTBackbone', encoder=encoder, peft=dict(type='Full'))
        >>> head = dict(type='DDRNetHead', in_index=0, channels=8)
        >>> model = MODELS.build(dict(type='PEFTSegmentor', backbone=backbone, decode_head=head,
        ...     num_classes=3))
        >>> type(as_mmseg(model).backbone).__module__
        'mmseg.models.backbones.ddrnet'
    """
    encoder, head = model.backbone.encoder, model.decode_head
    theirs = isinstance(encoder, DualResNet) and isinstance(head, DDRNetHead)
    if not theirs or (encoder.layers, encoder.halves) != ((2, 2, 2, 2), ('3',)):
        raise UserError(
            f'mmseg=True: {type(encoder).__name__} with {type(head).__name__} has no counterpart: '
            'expected DualResNet 23_slim or 23 with DDRNetHead; leave it out'
        )
    loss: dict[str, Any] = dict(type='OhemCrossEntropy')
    return MODELS.build(
        dict(
            type='EncoderDecoder',
            data_preprocessor=dict(
                type='SegDataPreProcessor',
                mean=model.data_preprocessor.mean.flatten().tolist(),
                std=model.data_preprocessor.std.flatten().tolist(),
                bgr_to_rgb=True,
            ),
            backbone=dict(
                type='DDRNet',
                channels=encoder.planes,
                ppm_channels=encoder.spp.scale0[2].out_channels,
            ),
            decode_head=dict(
                type='DDRHead',
                in_channels=4 * encoder.planes,
                channels=head.channels,
                num_classes=model.num_classes,
                loss_decode=[loss, loss],
            ),
            test_cfg=ConfigDict(mode='whole'),
        )
    )
