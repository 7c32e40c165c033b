"""The simplest head: a linear classifier of the patches.

B batch, C channels of all maps together, K classes, H x W grid, Q queries, D query width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.heads.contract import DecodeHead, check_several
from rein_seg.heads.mmseg_head import LogitsHead
from rein_seg.structures import Features


@MODELS.register_module()
class LinearHead(LogitsHead):
    """Classifies each patch linearly: a layer norm, then a 1x1 convolution.

    Queries of the method add a second vote. Each patch attends to the queries, and each query votes
    for classes, linearly: logits += softmax(P q' / sqrt D) (W q + b). The vote starts at zero. With
    it, Rein's link to queries can be trained without a set-prediction head.

    Args:
        in_channels: C_i of each map; filled in by the segmentor.
        in_index: Maps to read; filled in by the segmentor with all maps.
        query_dims: D, or None without queries; filled in by the segmentor.
        **kwargs: As mmseg's `BaseDecodeHead` (num_classes, loss_decode, ignore_index, ...).

    Shapes:
        `Features` with maps (B, C_i, H_i, W_i) -> logits (B, K, H_0, W_0).

    Source: the linear protocol of Oquab et al., "DINOv2" (2023), Sec. 7.4. Differs from it: a layer
    norm replaces the batch norm, which would learn the statistics of the source domain; the vote
    is ours.

    Example:
        >>> import torch
        >>> from rein_seg.heads import LinearHead
        >>> from rein_seg.structures import Features
        >>> head = LinearHead([8, 8], in_index=[0, 1], num_classes=3, query_dims=4)
        >>> maps = (torch.randn(2, 8, 6, 9), torch.randn(2, 8, 3, 5))
        >>> features = Features(maps=maps, queries=torch.randn(10, 4))
        >>> head.predict(features, (64, 96)).shape
        torch.Size([2, 3, 64, 96])
        >>> sorted(head.loss(features, torch.zeros(2, 64, 96, dtype=torch.long)))
        ['acc_seg', 'loss_ce']
    """

    filled_in = (*DecodeHead.filled_in, 'query_dims')

    def __init__(
        self,
        in_channels: Sequence[int],
        *,
        in_index: Sequence[int],
        query_dims: int | None = None,
        **kwargs,
    ) -> None:
        check_several('LinearHead', in_index)
        width = sum(in_channels)
        kwargs.setdefault(
            'loss_decode', dict(type='CrossEntropyLoss', loss_weight=1.0, avg_non_ignore=True)
        )
        kwargs.setdefault('threshold', 0.5)  # mmseg's own default is 0.3
        super().__init__(
            in_channels=list(in_channels),
            in_index=list(in_index),
            input_transform='resize_concat',
            channels=width,
            **{'dropout_ratio': 0.0, **kwargs},
        )
        self.norm = nn.LayerNorm(width)
        self.reads_queries = query_dims is not None
        if query_dims is not None:
            self.query_proj = nn.Conv2d(width, query_dims, 1)
            self.query_cls = nn.Linear(query_dims, self.out_channels)
            nn.init.zeros_(self.query_cls.weight)
            nn.init.zeros_(self.query_cls.bias)

    def forward(self, features: Features) -> Tensor:
        """Returns the (B, K, H_0, W_0) logits of the patches."""
        x = self._transform_inputs(features.maps)
        x = self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        logits = self.cls_seg(x)
        if features.queries is None or not self.reads_queries:  # those of a head that joined
            return logits
        return logits + self._vote(x, features.queries)

    def _vote(self, x: Tensor, queries: Tensor) -> Tensor:
        pixels = self.query_proj(x)  # (B, D, H, W)
        scores = torch.einsum('bdhw,qd->bqhw', pixels, queries) / math.sqrt(queries.shape[1])
        votes = F.linear(queries, self.query_cls.weight, self.query_cls.bias)  # (Q, K)
        return torch.einsum('bqhw,qk->bkhw', scores.softmax(1), votes.to(scores.dtype))
