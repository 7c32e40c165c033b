"""EoMT: queries join the patches in the encoder's own last blocks; there is no other decoder.

B batch, Q queries, K classes, C channels, M blocks, L predictions, H x W patch map, h x w masks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmseg.registry import MODELS

from rein_seg.heads.plain_masks.head import PlainMaskHead, Prediction, last
from rein_seg.peft.arguments import checked
from rein_seg.rules import Count
from rein_seg.structures import Features


@MODELS.register_module()
class EoMTHead(PlainMaskHead):
    """Predicts Q pairs of class and mask from queries that pass the encoder's last M blocks.

    The backbone puts the queries into the encoder (see `rein_seg.models.joined_queries`); this head
    predicts from what comes out, and in training also in front of each of the M blocks. Mask
    logits in front of a block restrict its attention: a query sees only the patches in its mask,
    with the probability ``attn_mask_probs`` of the block, which training lowers from 1 to 0. Then
    the blocks run without a mask in tests, and nothing is predicted before the last.

    Args:
        in_channels: C of each map, or of the last; filled in by the segmentor.
        num_classes: K; filled in by the segmentor.
        in_strides: Pixels a step of each map, or of the last; filled in by the segmentor.
        query_dims: Width of the method's queries, which must be C; None learns Q queries. Filled in
            by the segmentor.
        num_queries: Q.
        num_blocks: M (paper: 3 for ViT-S and ViT-B, 4 for ViT-L, 5 for ViT-g).
        masked_attention: False trains without masks and predicts once.
        upscale_channels: Width of the upscale blocks and of the masks, after a linear; None keeps
            C, as officially.
        loss: Arguments of `SetLoss`.
        ignore_index: Label of pixels that belong to no mask.

    Shapes:
        `Features` with normalised patches as the last map, normalised queries (B, Q, C) and the
        early predictions -> class logits (L, B, Q, K+1), mask logits (L, B, Q, h, w); `predict` ->
        scores (B, K, H, W): sums of class probability times mask probability.

    Raises:
        UserError: If an argument is not as above.

    Source: Kerssies et al., "Your ViT is Secretly an Image Segmentation Model" (CVPR 2025).
    Parameters have the official names. Differs from it: in tests a block masks all queries or none
    (officially it draws in tests, too, where the probability is between 0 and 1).

    Example:
        >>> import torch
        >>> from rein_seg.heads import EoMTHead
        >>> head = EoMTHead([8, 8], num_classes=3, in_strides=[16, 16], num_queries=5)
        >>> queries, patches = torch.randn(1, 5, 8), torch.randn(1, 8, 4, 6)
        >>> [tuple(x.shape) for x in head.predict_tokens(queries, patches)]
        [(1, 5, 4), (1, 5, 16, 24)]
    """

    filled_in = ('in_channels', 'in_strides', 'num_classes', 'query_dims')
    joins_encoder = True
    reads_norm = True

    @checked
    def __init__(
        self,
        in_channels: Sequence[int] | int,
        *,
        num_classes: int,
        in_strides: Sequence[int] | int,
        query_dims: int | None = None,
        num_queries: Count = 100,
        num_blocks: Count = 3,
        masked_attention: bool = True,
        upscale_channels: Count | None = None,
        loss: Mapping[str, Any] | None = None,
        ignore_index: int = 255,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            last(in_channels),
            last(in_strides),
            num_classes=num_classes,
            num_queries=num_queries,
            num_blocks=num_blocks,
            query_dims=query_dims,
            masked_attention=masked_attention,
            upscale_channels=upscale_channels,
            loss=loss,
            ignore_index=ignore_index,
            init_cfg=init_cfg,
        )

    def predictions(self, features: Features) -> list[Prediction]:
        """Returns the early predictions and the last."""
        assert features.queries is not None, 'the backbone has not joined this head'
        return [*features.early, self.predict_tokens(features.queries, features.maps[-1])]
