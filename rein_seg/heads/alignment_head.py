"""The alignment loss of LV-Adapter: pixels of a coarse map against the words of the classes.

B batch, K classes, h x w map, H x W image.
"""

from __future__ import annotations

import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from rein_seg.heads.identity_head import IdentityHead
from rein_seg.registry import reconstruction
from rein_seg.structures import Features


@reconstruction('AlignmentHead: the loss is named as in arXiv 2209.08953, its content is ours')
@MODELS.register_module()
class AlignmentHead(IdentityHead):
    """Cross-entropy of cosine scores / 0.07 with the nearest labels, at the size of the scores.

    Args:
        num_classes: K; filled in by the segmentor.
        temperature: Divisor of the scores.
        **kwargs: As mmseg's `BaseDecodeHead` (loss_decode, ignore_index, ...). The default loss is
            cross-entropy with factor 0.4, a mean over the pixels with a label.

    Shapes:
        `Features` with scores (B, K, h, w) -> logits (B, K, h, w).

    Source: named after "LV-Adapter" (arXiv 2209.08953). Differs from it: unknown.

    Example:
        >>> import torch
        >>> from rein_seg.heads import AlignmentHead
        >>> from rein_seg.structures import Features
        >>> features = Features(maps=(), scores=torch.zeros(1, 3, 4, 4))
        >>> head = AlignmentHead(3)
        >>> head.loss(features, torch.zeros(1, 8, 8, dtype=torch.long))['loss_ce']  # 0.4 log 3
        tensor(0.4394)
    """

    def __init__(self, num_classes: int, *, temperature: float = 0.07, **kwargs) -> None:
        kwargs.setdefault(
            'loss_decode', dict(type='CrossEntropyLoss', loss_weight=0.4, avg_non_ignore=True)
        )
        super().__init__(num_classes, temperature=temperature, **kwargs)

    def loss(self, features: Features, labels: Tensor) -> dict[str, Tensor]:
        """Returns the loss of (B, H, W) labels, which are taken at the nearest pixels."""
        assert features.scores is not None
        size = features.scores.shape[2:]
        # float32 holds every class index
        nearest = F.interpolate(labels[:, None].float(), size=size, mode='nearest')
        return super().loss(features, nearest[:, 0].long())
