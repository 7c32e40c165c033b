"""Mask2Former: every query predicts a class and a mask.

B batch, Q queries, K classes, D width, L predictions, h x w fine map (stride 4), H x W image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.fast.dispatch import has_fast_form
from rein_seg.heads.contract import DecodeHead
from rein_seg.heads.mask2former.checks import check_given, check_num_classes
from rein_seg.heads.mask2former.layers import STRIDES, pyramid_scales, sine_positions
from rein_seg.heads.mask2former.losses import Draws, SetLoss
from rein_seg.heads.mask2former.masks import attention_mask, combine, mask_logits
from rein_seg.heads.mask2former.pixel_decoder import PixelDecoder
from rein_seg.heads.mask2former.transformer import TransformerDecoder
from rein_seg.structures import Features


@MODELS.register_module(force=True)  # mmseg's class of this name needs mmdet
class Mask2FormerHead(DecodeHead, BaseModule):
    """Predicts Q pairs of class and mask from four maps, with or without queries of the method.

    Queries of the method (Rein's link) are the positions of the decoder's queries in every layer,
    and, through a linear, their first content (``content_from_queries``).

    Args:
        in_channels: C_i of each map; filled in by the segmentor.
        num_classes: K; filled in by the segmentor.
        in_index: Maps to read; filled in by the segmentor with all maps.
        in_strides: Pixels a step of each map, or None; filled in by the segmentor. Maps of the same
            stride, as from a plain vision transformer, are resized to strides 4, 8, 16, 32; other
            maps are not resized.
        query_dims: Width of the method's queries, or None without; filled in by the segmentor.
        feat_channels: D.
        num_queries: Q, if the method makes no queries.
        content_from_queries: Whether the content comes from the method's queries (officially
            ``replace_query_feat``) or from a learned table of ``num_queries``.
        num_heads: Heads of the attentions, the deformable attention included.
        encoder_layers: Layers of the pixel decoder.
        decoder_layers: Layers of the decoder.
        encoder_hidden: FFN width of the pixel decoder.
        decoder_hidden: FFN width of the decoder.
        num_points: Sampling points of the deformable attention.
        norm_groups: Groups of the group norms.
        project_inputs: Whether a 1x1 convolution stands between pixel decoder and decoder (mmdet's
            ``enforce_decoder_input_project``).
        activation_checkpointing: Computes each layer of the pixel decoder again in the backward
            pass instead of keeping its activations.
        loss: Arguments of `SetLoss`.
        ignore_index: Label of pixels that belong to no mask.

    Shapes:
        `Features` with four maps -> class logits (L, B, Q, K+1), mask logits (L, B, Q, h, w);
        `predict` -> scores (B, K, H, W): sums of class probability times mask probability.

    Raises:
        UserError: If the number of maps is not four, the width of the queries is not D, or K is not
            2 to 254.

    Source: Cheng et al., "Mask2Former" (CVPR 2022); queries: Wei et al., CVPR 2024, Sec. 3.3.
    Parameters have mmdet's names, so published checkpoints load.

    Example:
        >>> import torch
        >>> from rein_seg.heads import Mask2FormerHead
        >>> from rein_seg.structures import Features
        >>> head = Mask2FormerHead([8] * 4, num_classes=3, in_strides=[16] * 4, feat_channels=16,
        ...     num_queries=5, num_heads=2, encoder_layers=1, decoder_layers=1, norm_groups=4)
        >>> features = Features(maps=tuple(torch.randn(1, 8, 4, 6) for _ in range(4)))
        >>> head.output, head.predict(features, (64, 96)).shape
        ('scores', torch.Size([1, 3, 64, 96]))
        >>> sorted(head.loss(features, torch.zeros(1, 64, 96, dtype=torch.long)))
        ['d0.loss_cls', 'd0.loss_dice', 'd0.loss_mask', 'loss_cls', 'loss_dice', 'loss_mask']
    """

    filled_in = (*DecodeHead.filled_in, 'in_strides', 'query_dims')
    output = 'scores'

    def __init__(
        self,
        in_channels: Sequence[int],
        *,
        num_classes: int,
        in_index: Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        query_dims: int | None = None,
        feat_channels: int = 256,
        num_queries: int = 100,
        content_from_queries: bool = True,
        num_heads: int = 8,
        encoder_layers: int = 6,
        decoder_layers: int = 9,
        encoder_hidden: int = 1024,
        decoder_hidden: int = 2048,
        num_points: int = 4,
        norm_groups: int = 32,
        project_inputs: bool = False,
        activation_checkpointing: bool = False,
        loss: Mapping[str, Any] | None = None,
        ignore_index: int = 255,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        _check_maps(in_channels, num_heads=num_heads, width=feat_channels, groups=norm_groups)
        _check_queries(query_dims, feat_channels)
        check_num_classes('Mask2FormerHead', num_classes)
        self.in_index = tuple(range(len(in_channels)) if in_index is None else in_index)
        self.scales = pyramid_scales(in_strides, len(STRIDES))
        self.num_classes = self.out_channels = num_classes
        self.ignore_index = ignore_index
        self.pixel_decoder = PixelDecoder(
            in_channels,
            embed_dims=feat_channels,
            num_layers=encoder_layers,
            num_heads=num_heads,
            hidden=encoder_hidden,
            num_points=num_points,
            groups=norm_groups,
            activation_checkpointing=activation_checkpointing,
        )
        self.transformer_decoder = TransformerDecoder(
            decoder_layers, feat_channels, num_heads, decoder_hidden
        )
        levels = len(in_channels) - 1
        self.decoder_input_projs = nn.ModuleList(
            nn.Conv2d(feat_channels, feat_channels, 1) if project_inputs else nn.Identity()
            for _ in range(levels)
        )
        linked = query_dims is not None
        if not linked:
            self.query_embed = nn.Embedding(num_queries, feat_channels)
        self.content_is_linked = linked and content_from_queries
        if self.content_is_linked:
            self.querys2feat = nn.Linear(feat_channels, feat_channels)
        else:
            self.query_feat = nn.Embedding(num_queries, feat_channels)
        self.linked = linked
        self.level_embed = nn.Embedding(levels, feat_channels)
        self.cls_embed = nn.Linear(feat_channels, num_classes + 1)
        self.mask_embed = nn.Sequential(
            nn.Linear(feat_channels, feat_channels),
            nn.ReLU(inplace=True),
            nn.Linear(feat_channels, feat_channels),
            nn.ReLU(inplace=True),
            nn.Linear(feat_channels, feat_channels),
        )
        self.set_loss = SetLoss(num_classes, **(loss or {}))

    @has_fast_form('lazy_masks')
    def forward(self, features: Features) -> tuple[Tensor, Tensor]:
        """Returns class and mask logits of all predictions.

        Raises:
            UserError: If the method gives queries and the head was built without them, or the
                reverse.
        """
        maps = [features.maps[i] for i in self.in_index]
        pixels, memory = self.pixel_decoder(maps, self.scales)
        keys, values = self.keys_and_values(memory)
        x, position = self.first_queries(features.queries, len(pixels))

        def look(queries: Tensor, level: int) -> Tensor:
            masks = mask_logits(self.mask_embed(queries), pixels)
            return attention_mask(masks, memory[level].shape[-2:])

        queries = self.transformer_decoder(x, position, keys, values, look)
        return self.cls_embed(queries), mask_logits(self.mask_embed(queries), pixels)

    @has_fast_form('lazy_masks')
    def loss(
        self, features: Features, labels: Tensor, draws: Draws | None = None
    ) -> dict[str, Tensor]:
        """Returns the losses of all predictions; see `SetLoss`."""
        classes, masks = self(features)
        return self.set_loss(classes, masks, self.without_ignored(labels), draws)

    @has_fast_form('lazy_masks')
    def predict(self, features: Features, size: tuple[int, int]) -> Tensor:
        """Returns (B, K, H, W) scores of the last prediction."""
        classes, masks = self(features)
        return self.combine(classes[-1], masks[-1], size)

    def combine(self, classes: Tensor, masks: Tensor, size: tuple[int, int]) -> Tensor:
        """Sums class probability times mask probability over the queries; see `combine`."""
        return combine(classes.softmax(-1)[..., :-1], masks, size)

    def keys_and_values(self, memory: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Returns keys and values (B, S, D) of each level."""
        keys, values = [], []
        for i, (x, project) in enumerate(zip(memory, self.decoder_input_projs, strict=True)):
            height, width = x.shape[-2:]
            value = project(x).flatten(2).transpose(1, 2) + self.level_embed.weight[i]
            values.append(value)
            keys.append(value + sine_positions(height, width, value.shape[-1], like=x))
        return keys, values

    def first_queries(self, given: Tensor | None, batch: int) -> tuple[Tensor, Tensor]:
        """Returns content and position (B, Q, D)."""
        check_given('Mask2FormerHead', given, linked=self.linked)
        position = self.query_embed.weight if given is None else given
        if self.content_is_linked:
            content = self.querys2feat(position)
        else:
            content = self.query_feat.weight
        if content.shape[-2] != position.shape[-2]:  # (Q, D), or (B, Q, D) of each image
            raise UserError(
                f'Mask2FormerHead has num_queries={content.shape[-2]}, but the method makes '
                f'{position.shape[-2]} queries: set both to the same number'
            )
        return content.expand(batch, -1, -1), position.expand(batch, -1, -1)


def _check_queries(query_dims: int | None, width: int) -> None:
    if query_dims not in (None, width):
        raise UserError(
            f"the method's queries have width {query_dims}, Mask2FormerHead has "
            f'feat_channels={width}: set model.backbone.peft.query_dims={width}'
        )


def _check_maps(in_channels: Sequence[int], *, num_heads: int, width: int, groups: int) -> None:
    number = len(in_channels) if isinstance(in_channels, (list, tuple)) else 1
    if number != len(STRIDES):
        raise UserError(
            f'Mask2FormerHead reads four maps (strides 4, 8, 16, 32), not {number}: give the '
            'encoder four out_indices'
        )
    if width % num_heads or width % groups or width % 4:
        raise UserError(
            f'Mask2FormerHead: feat_channels={width} must be divisible by 4, by norm_groups='
            f'{groups} and by num_heads={num_heads}'
        )
