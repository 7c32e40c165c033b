"""A head whose result is an embedding of an image, trained as a classifier.

B batch, K classes, C channels and width of the embedding, h x w map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch.nn.functional as F
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.heads.image.awareness import AwarenessBlock, ConvBlock, power_mean
from rein_seg.heads.image.contract import ImageHead
from rein_seg.rules import Count, Probability
from rein_seg.structures import Features


@MODELS.register_module()
class RetrievalHead(ImageHead, BaseModule):
    """Pools the last map to an embedding; a linear classifier of the embedding gives its loss.

    - ``form='paper'``: `AwarenessBlock` with reduction 8, mean of the map.
    - ``form='repository'``: `AwarenessBlock` with reduction 1, a 1x1 convolution to C / 2 and a 3x3
      back, each with batch norm and ReLU, generalised mean (p = 3), batch norm whose bias stays 0.

    Args:
        in_channels: C of each map.
        num_classes: K of the training.
        form: See above.
        awareness: Whether there is an `AwarenessBlock`; without it the paper's form is a plain
            classifier, to compare with.
        reduction: Of the `AwarenessBlock`; None takes the form's.
        label_smoothing: Of the cross entropy; the repository trains with 0.3.
        in_index: Which maps ``in_channels`` lists; the last of them is read.

    Raises:
        UserError: If ``reduction`` does not divide C.

    Source: Wang et al., AAAI 2023 (FRPT), section 3.3, and its repository. Differs from it: the
        classifier has no bias in either form.

    Example:
        >>> import torch
        >>> from rein_seg.heads.image import RetrievalHead
        >>> from rein_seg.structures import Features
        >>> features = Features(maps=(torch.randn(2, 16, 4, 4),))
        >>> head = RetrievalHead([16], num_classes=3).eval()
        >>> head(features).shape, head.predict(features).shape
        (torch.Size([2, 3]), torch.Size([2, 16]))
    """

    output = 'embedding'

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        *,
        form: Literal['paper', 'repository'] = 'paper',
        awareness: bool = True,
        reduction: Count | None = None,
        label_smoothing: Probability = 0.0,
        in_index: Sequence[int] = (-1,),
    ) -> None:
        super().__init__()
        channels, official = in_channels[-1], form == 'repository'
        self.num_classes, self.in_index = num_classes, in_index
        self.label_smoothing = label_smoothing
        self.mam = (
            AwarenessBlock(channels, reduction or (1 if official else 8))
            if awareness
            else nn.Identity()
        )
        self.pool = power_mean if official else _mean
        self.conv_block3, self.neck = nn.Identity(), nn.Identity()
        if official:
            half = channels // 2
            self.conv_block3 = nn.Sequential(
                ConvBlock(channels, half, 1), ConvBlock(half, channels, 3)
            )
            self.neck = nn.BatchNorm1d(channels)
            self.neck.bias.requires_grad_(False)
        self.classify = nn.Linear(channels, num_classes, bias=False)

    def refine(self, x: Tensor) -> Tensor:
        """Returns the (B, C, h, w) map that is pooled."""
        return self.conv_block3(self.mam(x))

    def embed(self, features: Features) -> Tensor:
        """Returns the (B, C) embeddings."""
        return self.neck(self.pool(self.refine(features.maps[self.in_index[-1]])))

    def forward(self, features: Features) -> Tensor:
        """Returns the (B, K) logits of the training's classes."""
        return self.classify(self.embed(features))

    def loss(self, features: Features, labels: Tensor) -> dict[str, Tensor]:
        """Returns the cross entropy, ``loss_ce``."""
        logits = self(features)
        return {'loss_ce': F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)}

    def predict(self, features: Features) -> Tensor:
        """Returns the (B, C) embeddings."""
        return self.embed(features)


def _mean(x: Tensor) -> Tensor:
    return x.mean((2, 3))
