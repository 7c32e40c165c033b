"""The head of RepSep, reconstructed.

B batch, C channels of a map, E channels of the patch embedding, D width, K classes, h x w grid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.heads.contract import DecodeHead, pixel_losses
from rein_seg.heads.mmseg_head import as_metas, as_samples
from rein_seg.heads.repsep.attention import ClassLayer
from rein_seg.heads.repsep.losses import attention_losses, class_loss
from rein_seg.heads.repsep.pathways import TwoPathways
from rein_seg.heads.repsep.separation import Separation
from rein_seg.registry import reconstruction
from rein_seg.structures import Features

_WHERE = 'RepSepHead reads all blocks of a plain vision transformer (DINOv2, SAM, CLIP, EVA-02)'


@MODELS.register_module()
@reconstruction('RepSepStyle: the parts are named as in arXiv 2212.13764, their content is ours')
class RepSepHead(DecodeHead, BaseDecodeHead):
    """A reconstruction in the style of RepSep; no code and no text of its method could be read.

    1. Two pathways: L_0 = W e of the patch embedding e before positions; for each map t_k
       L_k = L_{k-1} + W GELU(DW3 h(LN(L_{k-1} + W t_k))) with h(x) = x - mean3x3(x);
       Z = ReLU BN W [L_T, W t_T].
    2. Separation: Y = Z + a (Z - mean7x7(Z)), a = sigmoid(W Z) for each place.
    3. Discriminative cross-attention: K queries, in two layers of cross-attention to Y,
       self-attention and MLP, become r_k; class k's logits are r_k . Y / sqrt(D).

    Beside the loss of pixels: of each class in an image the attention of its query is compared with
    its mask (binary cross-entropy and Dice, each layer), and r_k is classified as k.

    Args:
        in_channels: C of each map; filled in by the segmentor.
        in_index: Maps to read; filled in by the segmentor with all maps.
        in_strides: Of each map; filled in by the segmentor.
        embedding_dims: E; filled in by the segmentor.
        channels: D.
        num_heads: Heads of the attention; they divide D.
        num_layers: Layers of the attention.
        attention_weight: Weight of the losses of attention.
        class_weight: Weight of the loss of classified queries.
        norm_cfg: Norm of Z.
        **kwargs: As mmseg's `BaseDecodeHead` (num_classes, loss_decode, ignore_index, ...).

    Shapes:
        `Features` with maps (B, C, h, w), embedding (B, E, h, w) -> logits (B, K, h, w).

    Raises:
        UserError: If the encoder gives no patch embedding, its maps differ in size from it, D is no
            multiple of the heads, or one output channel is asked for.

    Source: the names of the three parts of "RSSeg" (arXiv 2212.13764). Differs from it: all content
    is our choice; never print its scores beside published ones.

    Example:
        >>> import torch
        >>> from rein_seg.heads import RepSepHead
        >>> from rein_seg.structures import Features
        >>> head = RepSepHead([6, 6], in_index=[0, 1], in_strides=[8, 8], embedding_dims=6,
        ...                   channels=8, num_heads=2, num_classes=3)
        >>> maps = (torch.randn(2, 6, 4, 6), torch.randn(2, 6, 4, 6))
        >>> features = Features(maps=maps, embedding=torch.randn(2, 6, 4, 6))
        >>> head.predict(features, (32, 48)).shape
        torch.Size([2, 3, 32, 48])
        >>> sorted(head.loss(features, torch.zeros(2, 32, 48, dtype=torch.long)))
        ['acc_seg', 'loss_attention_bce', 'loss_attention_dice', 'loss_ce', 'loss_class']
    """

    filled_in = (*DecodeHead.filled_in, 'in_strides', 'embedding_dims')

    def __init__(
        self,
        in_channels: Sequence[int],
        *,
        in_index: Sequence[int],
        in_strides: Sequence[int] | None,
        embedding_dims: int | None,
        channels: int = 256,
        num_heads: int = 8,
        num_layers: int = 2,
        attention_weight: float = 0.4,
        class_weight: float = 0.2,
        norm_cfg: dict | None = None,
        **kwargs: Any,
    ) -> None:
        _check(in_strides, embedding_dims, channels, num_heads, kwargs.get('out_channels'))
        kwargs.setdefault(
            'loss_decode', dict(type='CrossEntropyLoss', loss_weight=1.0, avg_non_ignore=True)
        )
        super().__init__(
            in_channels=list(in_channels),
            in_index=list(in_index),
            input_transform='multiple_select',
            channels=channels,
            **{'dropout_ratio': 0.0, **kwargs, 'init_cfg': None},
        )
        del self.conv_seg  # queries classify
        self.attention_weight, self.class_weight = attention_weight, class_weight
        self.pathways = TwoPathways(
            embedding_dims, list(in_channels), channels, norm_cfg=norm_cfg or dict(type='BN')
        )
        self.separation = Separation(channels)
        self.queries = nn.Parameter(torch.randn(self.num_classes, channels))
        self.layers = nn.ModuleList(ClassLayer(channels, num_heads) for _ in range(num_layers))
        self.classify = nn.Linear(channels, self.num_classes)

    def forward(self, features: Features) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Returns logits (B, K, h, w), r (B, K, D), and each layer's attention (B, K, h, w)."""
        z = self.pathways(self._embedding(features), self._transform_inputs(features.maps))
        y = self.separation(z)
        tokens = y.flatten(2).transpose(1, 2)  # (B, h w, D)
        r, attention = self.queries.expand(len(y), -1, -1), []
        for layer in self.layers:
            r, logits = layer(r, tokens)
            attention.append(logits.unflatten(2, y.shape[2:]))
        masks = torch.einsum('bkd,bdhw->bkhw', r, y) / math.sqrt(y.shape[1])
        return masks, r, attention

    def loss(self, features: Features, labels: Tensor) -> dict[str, Tensor]:
        """Returns the losses of ``loss_decode``, the weighted auxiliary losses, and ``acc_seg``."""
        masks, r, attention = self(features)
        losses = pixel_losses(
            lambda known: self.loss_by_feat(masks, as_samples(known)), labels, self.ignore_index
        )
        bce, dice = attention_losses(attention, labels, self.ignore_index)
        return {
            **losses,
            'loss_attention_bce': self.attention_weight * bce,
            'loss_attention_dice': self.attention_weight * dice,
            'loss_class': self.class_weight * class_loss(self.classify(r), labels),
        }

    def predict(self, features: Features, size: tuple[int, int]) -> Tensor:
        """Returns (B, K, H, W) logits."""
        return self.predict_by_feat(self(features)[0], as_metas(size, len(features.maps[0])))

    def _embedding(self, features: Features) -> Tensor:
        embedding, maps = features.embedding, features.maps
        if embedding is None or any(x.shape[2:] != embedding.shape[2:] for x in maps):
            sizes = [tuple(x.shape[2:]) for x in maps]
            there = None if embedding is None else tuple(embedding.shape[2:])
            raise UserError(
                f'{_WHERE}: got a patch embedding of {there} and maps of {sizes} (height, width), '
                'expected one size; leave out the neck'
            )
        return embedding


def _check(
    strides: Sequence[int] | None,
    embedding_dims: int | None,
    channels: int,
    num_heads: int,
    out_channels: int | None,
) -> None:
    if embedding_dims is None:
        raise UserError(
            f'{_WHERE}, and their patch embedding; this encoder has stages, whose first embedding '
            'is finer than its maps: choose a plain encoder, or another head'
        )
    if strides is None or len(set(strides)) > 1:
        got = 'maps behind a neck' if strides is None else f'maps with strides {list(strides)}'
        raise UserError(
            f'{_WHERE}: got {got}, expected maps of one size; leave out the neck, or choose '
            'another head'
        )
    if channels % num_heads:
        raise UserError(
            f'RepSepHead channels={channels}, num_heads={num_heads}: expected a multiple of the '
            f'heads, such as {max(1, round(channels / num_heads)) * num_heads}'
        )
    if out_channels == 1:
        raise UserError(
            'RepSepHead out_channels=1: it has a query for each class, the background too; leave '
            'out_channels out'
        )
