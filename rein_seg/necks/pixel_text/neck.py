"""DenseCLIP's neck: score maps of pixels and words join the maps in front of an FPN.

B batch, K classes, N tokens, D width of the space that image and text share, C channels, h x w map.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmseg.models.necks import FPN
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.necks.contract import FeaturesNeck
from rein_seg.necks.conv_pyramid import ConvPyramid
from rein_seg.necks.pixel_text.decoder import ContextDecoder
from rein_seg.peft.arguments import checked
from rein_seg.resize import resize_to
from rein_seg.rules import Count, Probability
from rein_seg.structures import Features


@MODELS.register_module()
class PixelTextNeck(FeaturesNeck, BaseModule):
    """Shows the image to the words, scores each pixel for each word, and hands both to an FPN.

    t' = t + gamma * decoder(t, [g; d]); S = cos(d, t'); the FPN reads the maps, one of them with
    the K channels of S behind its own. It returns S and t', too, for heads that read them.

    Args:
        in_channels: C_i of each map; filled in by the segmentor.
        in_strides: Pixels a step of each map; filled in by the segmentor.
        num_classes: K, which the FPN is built for; filled in by the segmentor.
        joint_dims: D; filled in by the segmentor.
        text_dims: D of the text, which must be the same; filled in by the segmentor.
        factors: Scales of a `ConvPyramid` with batch norm in front, for an encoder whose maps have
            one size, such as (4, 2, 1, 0.5). None takes the maps as they are.
        level: Index of the map that S joins; None takes the map with the steps of the encoder's
            last map, where S needs no resizing: the last of a ResNet, the third of a ViT's
            pyramid.
        out_channels: Channels of each map behind the FPN.
        embed_dims: Width of the `ContextDecoder`.
        num_heads: Its heads; divides ``embed_dims``.
        num_layers: Its layers.
        dropout: Inside it.
        gamma: Initial value of each of the D factors.

    Shapes:
        `Features` with maps (B, C_i, h_i, w_i), joint (B, D) and (B, D, h, w), text (K, D) ->
        maps (B, out_channels, ., .), text (B, K, D), scores (B, K, h, w) from -1 to 1.

    Raises:
        UserError: If ``level`` is no map, or an argument is not as above.

    Source: Rao et al., "DenseCLIP" (CVPR 2022), Sec. 3.2 and 3.3, and the official code. Differs
    from it: S is resized where ``level`` has other steps; there that is an error.

    Example:
        >>> import torch
        >>> from rein_seg.necks import PixelTextNeck
        >>> from rein_seg.structures import Features
        >>> neck = PixelTextNeck([8, 16], [16, 32], num_classes=3, joint_dims=4, text_dims=4)
        >>> maps = (torch.zeros(1, 8, 4, 6), torch.zeros(1, 16, 2, 3))
        >>> joint = (torch.ones(1, 4), torch.ones(1, 4, 2, 3))
        >>> found = neck(Features(maps, joint=joint, text=torch.ones(3, 4)))
        >>> [tuple(x.shape) for x in (*found.maps, found.text, found.scores)]
        [(1, 256, 4, 6), (1, 256, 2, 3), (1, 3, 4), (1, 3, 2, 3)]
    """

    filled_in = ('in_channels', 'in_strides', 'num_classes', 'joint_dims', 'text_dims')
    makes_scores = True

    @checked
    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        num_classes: int,
        joint_dims: int,
        text_dims: int,
        *,
        factors: Sequence[float] | None = None,
        level: int | None = None,
        out_channels: Count = 256,
        embed_dims: Count = 256,
        num_heads: Count = 4,
        num_layers: Count = 3,
        dropout: Probability = 0.1,
        gamma: float = 1e-4,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        assert joint_dims == text_dims, (joint_dims, text_dims)  # checked by the segmentor
        channels, strides = list(in_channels), [float(stride) for stride in in_strides]
        self.pyramid: nn.Module = nn.Identity()
        if factors is not None:
            self.pyramid = ConvPyramid(channels, factors, batch_norm=True)
            strides = [stride / factor for stride, factor in zip(strides, factors, strict=True)]
        self.least_steps = getattr(self.pyramid, 'least_steps', 1)
        self.level = _find_level(level, strides, in_strides[-1])
        channels[self.level] += num_classes
        self.context_decoder = ContextDecoder(
            joint_dims, embed_dims, num_heads=num_heads, num_layers=num_layers, dropout=dropout
        )
        self.gamma = nn.Parameter(torch.full((joint_dims,), float(gamma)))
        self.fpn = FPN(channels, out_channels, num_outs=len(channels))
        self.out_channels = (out_channels,) * len(channels)
        self.out_strides = tuple(int(stride) for stride in strides)

    def forward(self, features: Features) -> Features:
        """Returns the features behind the FPN, with updated text and score maps."""
        assert features.joint is not None
        assert features.text is not None
        text = self.update(features.text, features.joint)
        scores = score_map(features.joint[1], text)
        maps = self.fpn(self.join(features.maps, scores))
        return replace(features, maps=tuple(maps), text=text, scores=scores)

    def update(self, text: Tensor, joint: tuple[Tensor, Tensor]) -> Tensor:
        """Returns the (B, K, D) embeddings of the classes for each image.

        Args:
            text: (K, D), or (B, K, D).
            joint: Global (B, D) and dense (B, D, h, w) embedding of the image.
        """
        overall, dense = joint
        image = torch.cat((overall[:, None], dense.flatten(2).transpose(1, 2)), dim=1)
        text = text.expand(len(image), -1, -1)
        return text + self.gamma * self.context_decoder(text, image)

    def join(self, maps: Sequence[Tensor], scores: Tensor) -> list[Tensor]:
        """Returns the maps of the pyramid, one of them with the scores behind its channels.

        Args:
            maps: (B, C_i, h_i, w_i) of the encoder.
            scores: (B, K, h, w).
        """
        joined = list(self.pyramid(maps))
        chosen = joined[self.level]
        joined[self.level] = torch.cat((chosen, resize_to(scores, chosen.shape[2:])), dim=1)
        return joined


def score_map(dense: Tensor, text: Tensor) -> Tensor:
    """Returns the (B, K, h, w) cosine of each pixel and each class.

    Args:
        dense: (B, D, h, w).
        text: (B, K, D).

    Example:
        >>> import torch
        >>> from rein_seg.necks.pixel_text.neck import score_map
        >>> score_map(torch.ones(1, 4, 2, 3), torch.eye(4)[None, :3])[0, 0, 0]
        tensor([0.5000, 0.5000, 0.5000])
    """
    return torch.einsum('bdhw,bkd->bkhw', F.normalize(dense, dim=1), F.normalize(text, dim=2))


def _find_level(level: int | None, strides: Sequence[float], stride: float) -> int:
    """Returns the index of the map for the scores; the default has the nearest steps."""
    count = len(strides)
    if level is None:
        return min(range(count), key=lambda i: (abs(math.log(strides[i] / stride)), -i))
    if not -count <= level < count:
        raise UserError(
            f'PixelTextNeck level={level}, but there are {count} maps (0 to {count - 1}): leave '
            'level out, or name a map that exists'
        )
    return level % count
