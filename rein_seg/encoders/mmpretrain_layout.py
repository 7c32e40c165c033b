"""An encoder's weights for a class of mmpretrain, and the config of that class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from rein_seg.encoders.plain_vit import PlainViT
from rein_seg.errors import UserError
from rein_seg.registry import registered_name


def to_mmpretrain(
    encoder: nn.Module, described: Mapping[str, Any]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Returns the weights of ``encoder`` for a class of mmpretrain, and that class's config.

    Args:
        encoder: With any values.
        described: Its class and arguments, from `EncoderInfo`.

    Raises:
        UserError: If no class of mmpretrain computes the same from the same tensors.

    Example:
        >>> from rein_seg.encoders import build_encoder, to_mmpretrain
        >>> encoder, info = build_encoder(dict(type='TinyViT', init_seed=0))
        >>> tensors, config = to_mmpretrain(encoder, info.config)
        >>> config['type'], config['out_indices'], tensors['pos_embed'].shape
        ('VisionTransformer', [1, 3, 5, 7], torch.Size([1, 513, 192]))
    """
    name = registered_name(type(encoder))
    if name.startswith('mmpretrain.'):
        config = {**described, 'type': name.rpartition('.')[2]}
    elif isinstance(encoder, PlainViT):
        config = {'type': 'VisionTransformer', **encoder.as_mmpretrain()}
    else:
        raise UserError(
            f'no class of mmpretrain computes what {type(encoder).__name__} does; take the '
            'official layout, which an encoder from a file has (encoder.checkpoint), an encoder of '
            'random weights (init_seed) has none'
        )
    return {n: t.detach().cpu().clone() for n, t in encoder.state_dict().items()}, config
