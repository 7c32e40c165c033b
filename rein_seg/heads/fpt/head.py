"""The feature pyramid transformer: a branch of transformer blocks for each level of a pyramid.

B batch, C channels of each map, L levels, H_i x W_i map of level i, K classes, s stages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.heads.fpt.block import FPTBlock
from rein_seg.heads.fpt.checks import (
    check_levels,
    check_maps,
    check_options,
    check_strides,
    stages,
)
from rein_seg.heads.mmseg_head import LogitsHead
from rein_seg.resize import resize_by
from rein_seg.structures import Features

AxisOrder = Literal['intent', 'official']


@MODELS.register_module()
class FPTHead(LogitsHead):
    """Classifies the sum of L branches, each of which leads one level to the finest resolution.

    The branch of the coarsest level has L stages of blocks, the branch of the finest level one
    stage. Maps are doubled bilinearly between stages. Of more maps the head reads the last L.

    Args:
        in_channels: Channels of each map, all C; filled in by the segmentor.
        in_index: Maps to read, from fine to coarse; filled in by the segmentor with all maps.
        num_layers: Blocks of each stage of each branch, from coarse to fine; its length is L.
        sra_ratios: Ratio by which attention reduces its keys, for each stage of each branch.
        num_heads: Heads of each attention; they divide C.
        mlp_ratio: Width of the feed-forward, as a multiple of C.
        drop_path_rates: Rate of stochastic depth of the last block of each branch, in training;
            the rates of the blocks before rise to it linearly from 0.
        use_ape: Whether each branch adds a learned position map to its input.
        ape_sizes: (h, w) of the position map of each branch; they are resized bilinearly.
        axis_order: ``intent``, or ``official``: every stage transposes its map, as in the pull
            request, which takes square maps only.
        **kwargs: As mmseg's `BaseDecodeHead` (num_classes, dropout_ratio, loss_decode, ...).

    Shapes:
        `Features` with maps (B, C, H_i, W_i), H_i = 2 H_{i+1} -> logits (B, K, H_0, W_0).

    Raises:
        UserError: If an argument is not as above, there are fewer than L maps, their channels
            differ, or a map is not twice the next map's size.

    Source: Wu et al., "Fully Transformer Networks for Semantic Image Segmentation" (2021), Sec.
    3.3, and its pull request to mmsegmentation. Differs from it: ``axis_order='intent'``.

    Example:
        >>> import torch
        >>> from rein_seg.heads import FPTHead
        >>> from rein_seg.structures import Features
        >>> head = FPTHead([8, 8, 8], in_index=[0, 1, 2], num_classes=3)
        >>> maps = [torch.randn(2, 8, 8 // side, 12 // side) for side in (1, 2, 4)]
        >>> features = Features(maps=tuple(maps))
        >>> head.predict(features, (64, 96)).shape
        torch.Size([2, 3, 64, 96])
        >>> sorted(head.loss(features, torch.zeros(2, 64, 96, dtype=torch.long)))
        ['acc_seg', 'loss_ce']
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        *,
        in_index: Sequence[int],
        num_layers: Sequence[Sequence[int]] = ((1, 1, 1), (1, 1), (1,)),
        sra_ratios: Sequence[Sequence[int]] = ((2, 2, 2), (2, 2), (2,)),
        num_heads: int = 4,
        mlp_ratio: float = 4.0,
        drop_path_rates: Sequence[float] = (0.3, 0.2, 0.1),
        use_ape: bool = False,
        ape_sizes: Sequence[tuple[int, int]] = ((16, 16), (32, 32), (64, 64)),
        axis_order: AxisOrder = 'intent',
        **kwargs: Any,
    ) -> None:
        apes = ape_sizes if use_ape else None
        levels = check_options(num_layers, sra_ratios, drop_path_rates, apes, axis_order)
        channels = check_levels(in_channels, in_index, levels, num_heads)
        kwargs.setdefault(
            'loss_decode', dict(type='CrossEntropyLoss', loss_weight=1.0, avg_non_ignore=True)
        )
        kwargs.setdefault('threshold', 0.5)  # mmseg's own default is 0.3
        super().__init__(
            in_channels=list(in_channels)[-levels:],
            in_index=list(in_index)[-levels:],
            input_transform='multiple_select',
            channels=channels,
            **kwargs,
        )
        self.axis_order, self.sra_ratios = axis_order, sra_ratios
        options = dict(num_heads=num_heads, mlp_ratio=mlp_ratio)
        self.branches = nn.ModuleList(
            _branch(channels, *sizes, **options)
            for sizes in zip(num_layers, sra_ratios, drop_path_rates, strict=True)
        )
        self.ape_embeds = nn.ParameterList(
            nn.init.trunc_normal_(torch.empty(1, channels, *size), std=0.02) for size in apes or ()
        )

    def image_sides(self, strides: Sequence[int]) -> tuple[int, int]:
        """Returns the coarsest stride, so that maps meet, and a side that fills each kernel."""
        read = [strides[i] for i in self.in_index]
        return check_strides(read), max(
            stride * ratio for stride, ratio in stages(read, self.sra_ratios)
        )

    def forward(self, features: Features) -> Tensor:
        """Returns the (B, K, H_0, W_0) logits of the finest level."""
        maps = self._transform_inputs(features.maps)
        check_maps([tuple(x.shape[2:]) for x in maps], self.sra_ratios, self.axis_order)
        levels = enumerate(zip(self.branches, maps[::-1], strict=True))
        refined = [self._refine(branch, self._placed(x, b)) for b, (branch, x) in levels]
        return self.cls_seg(torch.stack(refined).sum(0))

    def _placed(self, x: Tensor, branch: int) -> Tensor:
        """Adds the position map of a branch, if there is one."""
        if not len(self.ape_embeds):
            return x
        position = self.ape_embeds[branch]
        return x + F.interpolate(position, size=x.shape[2:], mode='bilinear', align_corners=False)

    def _refine(self, branch: nn.ModuleList, x: Tensor) -> Tensor:
        """Leads a (B, C, h, w) map through the stages of a branch."""
        for index, stage in enumerate(branch):
            if index:
                x = resize_by(x, 2)
            grid = tuple(x.shape[2:])
            tokens = x.flatten(2).transpose(1, 2)
            for block in stage:
                tokens = block(tokens, grid)
            x = tokens.transpose(1, 2).unflatten(2, grid)
            if self.axis_order == 'official':
                x = x.transpose(2, 3)
        return x


def _branch(
    channels: int,
    depths: Sequence[int],
    ratios: Sequence[int],
    drop_path_rate: float,
    *,
    num_heads: int,
    mlp_ratio: float,
) -> nn.ModuleList:
    rates = iter(np.linspace(0, drop_path_rate, sum(depths)).tolist())
    options = dict(num_heads=num_heads, mlp_ratio=mlp_ratio)
    return nn.ModuleList(
        nn.ModuleList(
            FPTBlock(channels, ratio=ratio, drop_path=next(rates), **options) for _ in range(depth)
        )
        for depth, ratio in zip(depths, ratios, strict=True)
    )
