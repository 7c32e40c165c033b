"""A linear classifier of whole images.

B batch, K classes, C channels, D width of the joint space.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.heads.image.contract import ImageHead
from rein_seg.rules import Probability
from rein_seg.structures import Features


@MODELS.register_module()
class LinearImageHead(ImageHead, BaseModule):
    """A linear layer on the mean of the last map, or on the global joint embedding where it is.

    Args:
        in_channels: C of each map.
        num_classes: K.
        in_index: Which maps ``in_channels`` lists; the last of them is read.
        joint_dims: D of an encoder with a joint space, whose global embedding is read instead.
        label_smoothing: Of the cross entropy.

    Example:
        >>> import torch
        >>> from rein_seg.heads.image import LinearImageHead
        >>> from rein_seg.structures import Features
        >>> features = Features(maps=(torch.zeros(2, 8, 4, 4),))
        >>> head = LinearImageHead([8], num_classes=3)
        >>> head(features).shape, list(head.loss(features, torch.tensor([0, 2])))
        (torch.Size([2, 3]), ['loss_ce'])
    """

    filled_in = ('in_channels', 'in_index', 'num_classes', 'joint_dims')
    optional = ('joint_dims',)

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        *,
        in_index: Sequence[int] = (-1,),
        joint_dims: int | None = None,
        label_smoothing: Probability = 0.0,
    ) -> None:
        super().__init__()
        self.num_classes, self.in_index, self.joint_dims = num_classes, in_index, joint_dims
        self.label_smoothing = label_smoothing
        self.classify = nn.Linear(joint_dims or in_channels[-1], num_classes)

    def forward(self, features: Features) -> Tensor:
        """Returns (B, K) logits."""
        if self.joint_dims is None:
            return self.classify(features.maps[self.in_index[-1]].mean((2, 3)))
        assert features.joint is not None
        return self.classify(features.joint[0])

    def loss(self, features: Features, labels: Tensor) -> dict[str, Tensor]:
        """Returns the cross entropy, ``loss_ce``."""
        logits = self(features)
        return {'loss_ce': F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)}

    def predict(self, features: Features) -> Tensor:
        """Returns (B, K) logits."""
        return self(features)
