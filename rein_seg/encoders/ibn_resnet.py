"""IBN-ResNet: a ResNet whose first norms normalise half of the channels image by image.

B batch, C channels, H x W map.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from mmseg.models.backbones import ResNet
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.encoders.resnet import resnet_anatomy, resnet_weights
from rein_seg.encoders.weights import Converted
from rein_seg.errors import UserError
from rein_seg.registry import register_anatomy, register_key_map
from rein_seg.structures import Anatomy

_MARK = 'layer1.0.bn1.IN.weight'
_IBN_STAGES, _STEM_STRIDE = 3, 4


class IBN(nn.Module):
    """Instance norm of the first half of the channels, batch norm of the others.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.half = channels // 2
        self.IN = nn.InstanceNorm2d(self.half, affine=True)
        self.BN = nn.BatchNorm2d(channels - self.half)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the (B, C, H, W) map."""
        first, second = x[:, : self.half], x[:, self.half :]
        return torch.cat((self.IN(first.contiguous()), self.BN(second.contiguous())), dim=1)


@MODELS.register_module()
class IBNResNet(ResNet):
    """A ResNet with `IBN` as first norm of the blocks of all stages but the fourth (IBN-a).

    Args:
        depth: 18, 34, 50, 101 or 152.
        last_stride: Of the fourth stage; retrieval takes 1.
        out_indices: Stages whose maps are returned.
        **kwargs: As mmseg's ResNet.

    Shapes:
        (B, 3, H, W) -> maps at 1/4, 1/8, 1/16 and, with ``last_stride=1``, 1/16.

    Source: Pan et al., ECCV 2018 (IBN-Net); stride and pool as FastReID builds it: the pool has no
        padding and counts the last incomplete window. Differs from it: none.

    Example:
        >>> import torch
        >>> from rein_seg.encoders import build_encoder, find_anatomy
        >>> encoder, _ = build_encoder(dict(type='IBNResNet', base_channels=4, init_seed=0))
        >>> [tuple(x.shape[1:]) for x in encoder(torch.zeros(1, 3, 64, 64))]
        [(16, 16, 16), (32, 8, 8), (64, 4, 4), (128, 4, 4)]
        >>> find_anatomy(encoder).out_strides
        (4, 8, 16, 16)
    """

    def __init__(
        self,
        depth: int = 50,
        *,
        last_stride: int = 1,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        **kwargs: Any,
    ) -> None:
        kwargs = {'strides': (1, 2, 2, last_stride), **kwargs}
        super().__init__(depth, out_indices=tuple(out_indices), **kwargs)
        self.maxpool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        for layer in self.res_layers[:_IBN_STAGES]:
            for block in self.get_submodule(layer):
                block.bn1 = IBN(block.bn1.num_features)


@register_anatomy(IBNResNet)
def ibn_resnet_anatomy(encoder: IBNResNet) -> Anatomy:
    """Returns the anatomy of a ResNet, for images with two steps of the last map with `IBN`.

    An instance norm of one position has no statistics.
    """
    stride = _STEM_STRIDE * math.prod(encoder.strides[: min(_IBN_STAGES, encoder.num_stages)])
    return replace(resnet_anatomy(encoder), least_side=2 * stride)


@register_key_map(IBNResNet)
def ibn_resnet_weights(encoder: IBNResNet, state: dict[str, Tensor]) -> Converted:
    """Takes the files of IBN-Net, as `resnet_weights` takes torchvision's.

    Raises:
        UserError: If the file is a plain ResNet's, or as `resnet_weights`.
    """
    converted = resnet_weights(encoder, state)
    if _MARK not in converted.tensors and 'layer1.0.bn1.weight' in converted.tensors:
        raise UserError(
            'the weights file is a ResNet without instance norms, encoder IBNResNet needs '
            f'{_MARK}: use mmseg.ResNet, or the file made for it (resnet50_ibn_a)'
        )
    return converted
