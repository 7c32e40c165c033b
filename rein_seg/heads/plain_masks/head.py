"""The base of mask heads whose queries pass plain transformer blocks beside the patches.

B batch, Q queries, K classes, C channels, D width of the masks, M blocks, L predictions, H x W
patch map, h x w masks, N patches.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.fast.dispatch import has_fast_form
from rein_seg.heads.contract import DecodeHead
from rein_seg.heads.mask2former.checks import check_given, check_num_classes
from rein_seg.heads.mask2former.losses import Draws, SetLoss
from rein_seg.heads.mask2former.masks import combine, mask_logits
from rein_seg.heads.plain_masks.looking import MaskDraws, mask_plan, open_patches
from rein_seg.heads.plain_masks.upscale import UpscaleBlock, num_upscales
from rein_seg.structures import Features

Prediction = tuple[Tensor, Tensor]  # class logits (B, Q, K+1), mask logits (B, Q, h, w)


class PlainMaskHead(DecodeHead, BaseModule):
    """Predicts class and mask of Q queries; a subclass says which blocks they pass.

    Args:
        channels: C.
        stride: Pixels a step of the patch map.
        num_classes: K.
        num_queries: Q.
        num_blocks: M.
        query_dims: Width of the queries that the PEFT method makes, in place of learned queries;
            None learns them.
        masked_attention: Predicts a mask in front of each block, which restricts the attention of
            its query; see `open_patches`. False predicts after the last block only.
        upscale_channels: D: a linear brings the patches to this width in front of the upscale
            blocks. None leaves them at C, as officially.
        loss: Arguments of `SetLoss`; ``divisor`` defaults to ``pairs`` here.
        ignore_index: Label of pixels that belong to no mask.

    Attributes:
        attn_mask_probs: (M,) buffer: the probability that a query is masked, of each block.
        mask_draws: Source of the random numbers that free queries of their masks.

    Raises:
        UserError: If the queries' width is not C, or K is not 2 to 254.
    """

    output = 'scores'
    anneals_masks = True
    mask_draws = MaskDraws()
    attn_mask_probs: Tensor

    def __init__(
        self,
        channels: int,
        stride: int,
        *,
        num_classes: int,
        num_queries: int,
        num_blocks: int,
        query_dims: int | None = None,
        masked_attention: bool = True,
        upscale_channels: int | None = None,
        loss: Mapping[str, Any] | None = None,
        ignore_index: int = 255,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        _check(type(self).__name__, num_classes, query_dims, channels)
        self.num_classes = self.out_channels = num_classes
        self.ignore_index = ignore_index
        self.num_blocks, self.masked_attention = num_blocks, masked_attention
        self.register_buffer('attn_mask_probs', torch.ones(num_blocks))
        self.linked = query_dims is not None
        if not self.linked:
            self.q = nn.Embedding(num_queries, channels)
        self.class_head = nn.Linear(channels, num_classes + 1)
        width = channels if upscale_channels is None else upscale_channels
        self.mask_head = nn.Sequential(
            nn.Linear(channels, channels),
            nn.GELU(),
            nn.Linear(channels, channels),
            nn.GELU(),
            nn.Linear(channels, width),
        )
        self.narrow = None if upscale_channels is None else nn.Conv2d(channels, width, 1)
        self.upscale = nn.Sequential(*[UpscaleBlock(width) for _ in range(num_upscales(stride))])
        self.set_loss = SetLoss(num_classes, **{'divisor': 'pairs', **(loss or {})})

    def first_queries(self, batch: int, given: Tensor | None = None) -> Tensor:
        """Returns the (B, Q, C) queries that enter the first block.

        Args:
            batch: B.
            given: (Q, C) queries of the PEFT method, or None.

        Raises:
            UserError: If the method gives queries and the head was built without, or the reverse.
        """
        check_given(type(self).__name__, given, linked=self.linked)
        queries = self.q.weight if given is None else given
        return queries.expand(batch, -1, -1)

    def plan(self) -> tuple[float | None, ...]:
        """Returns the probability of a mask for each block, None where nothing is predicted."""
        if not self.masked_attention:
            return (None,) * self.num_blocks
        return mask_plan(self.attn_mask_probs.tolist(), training=self.training)

    def predict_tokens(self, queries: Tensor, patches: Tensor) -> Prediction:
        """Returns class logits (B, Q, K+1) and mask logits (B, Q, h, w) after the shared norm.

        Args:
            queries: (B, Q, C), normalised.
            patches: (B, C, H, W), normalised.
        """
        pixels = self.upscale(patches if self.narrow is None else self.narrow(patches))
        return self.class_head(queries), mask_product(self.mask_head(queries), pixels)

    def look(
        self, masks: Tensor, grid: tuple[int, int], block: int, probability: float
    ) -> Tensor | None:
        """Returns (B, Q, N) bool: which patches a query may attend to; None for all.

        Args:
            masks: (B, Q, h, w) logits predicted in front of the block.
            grid: (H, W).
            block: Index of the block among the M.
            probability: Of a mask, from `plan`.
        """
        if probability <= 0:
            return None
        uniform = None
        if probability < 1:
            uniform = self.mask_draws.uniform(block, *masks.shape[:2], masks.device)
        return open_patches(masks.detach(), grid, probability, uniform)

    @abstractmethod
    def predictions(self, features: Features) -> list[Prediction]:
        """Returns the L predictions of a batch, in the order of the blocks."""

    def forward(self, features: Features) -> Prediction:
        """Returns class logits (L, B, Q, K+1) and mask logits (L, B, Q, h, w)."""
        classes, masks = zip(*self.predictions(features), strict=True)
        return torch.stack(classes), torch.stack(masks)

    @has_fast_form('matched_masks')
    def loss(
        self, features: Features, labels: Tensor, draws: Draws | None = None
    ) -> dict[str, Tensor]:
        """Returns the losses of all predictions; see `SetLoss`."""
        classes, masks = self(features)
        return self.set_loss(classes, masks, self.without_ignored(labels), draws)

    def predict(self, features: Features, size: tuple[int, int]) -> Tensor:
        """Returns (B, K, H, W) scores of the last prediction; see `combine`."""
        classes, masks = self.predictions(features)[-1]
        return combine(classes.float().softmax(-1)[..., :-1], masks, size)


@has_fast_form('matched_masks')
def mask_product(embeds: Tensor, pixels: Tensor) -> Tensor:
    """Multiplies (B, Q, D) embeddings with (B, D, h, w) pixels: (B, Q, h, w).

    Example:
        >>> import torch
        >>> from rein_seg.heads.plain_masks.head import mask_product
        >>> mask_product(torch.ones(1, 5, 8), torch.ones(1, 8, 2, 3)).unique()
        tensor([8.])
    """
    return mask_logits(embeds, pixels)


def last(values: Sequence[int] | int) -> int:
    """Returns the value of the last map.

    Example:
        >>> from rein_seg.heads.plain_masks.head import last
        >>> last([8, 16]), last(8)
        (16, 8)
    """
    return values if isinstance(values, int) else values[-1]


def _check(name: str, num_classes: int, query_dims: int | None, channels: int) -> None:
    check_num_classes(name, num_classes)
    if query_dims not in (None, channels):
        raise UserError(
            f"the method's queries have width {query_dims}, but {name} puts them among tokens of "
            f'width {channels}: set model.backbone.peft.query_dims={channels}, or '
            'link_to_queries=False'
        )
