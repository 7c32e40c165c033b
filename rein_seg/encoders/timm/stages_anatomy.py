"""Anatomy of a `TimmStages`, found from the network itself."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from rein_seg.encoders.timm.stages import TimmStages
from rein_seg.encoders.traced.anatomy import probe_sizes, traced_anatomy
from rein_seg.registry import register_anatomy
from rein_seg.structures import Anatomy


@register_anatomy(TimmStages)
def timm_stages_anatomy(encoder: nn.Module) -> Anatomy:
    """Returns the anatomy of a `TimmStages`.

    Raises:
        UserError: If the network cannot be run on a small image, nor on one of its own size.

    Example:
        >>> from rein_seg.encoders import build_encoder, find_anatomy
        >>> encoder, _ = build_encoder(
        ...     dict(type='TimmStages', model='tf_efficientnet_lite0', init_seed=0)
        ... )
        >>> anatomy = find_anatomy(encoder)
        >>> anatomy.stage_depths, anatomy.out_channels
        ((1, 2, 2, 6, 5), (24, 40, 112, 320))
    """
    sizes = probe_sizes(encoder.model.feature_info.reduction())
    if encoder.img_size is not None:
        side = encoder.img_size
        sizes.append((side, side) if isinstance(side, int) else (side[0], side[1]))
    sizes.append(tuple(encoder.pretrained_cfg['input_size'][1:]))
    found = traced_anatomy(
        encoder,
        family=encoder.model_name,
        strides=encoder.out_strides,
        sizes=sizes,
        image=encoder.image,
    )
    return replace(found, check_size=encoder.sizes.check, divisor=_divisor(encoder))


def _divisor(encoder: nn.Module) -> int:
    """Returns the side of patches that are not padded, as in Swin; 1 without them."""
    for module in encoder.modules():
        free = getattr(module, 'strict_img_size', None) is False
        if free and not getattr(module, 'dynamic_img_pad', False):
            return int(max(module.patch_size))
    return 1
