"""Classifies whole images by the words of the classes.

B batch, K classes, D width of the joint space.
"""

from __future__ import annotations

import torch.nn.functional as F
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor

from rein_seg.heads.image.contract import ImageHead
from rein_seg.heads.image.cosine import cosine_logits
from rein_seg.rules import Positive, Probability
from rein_seg.structures import Features

SCALE = 100.0  # of all of OpenAI's files: exp(logit_scale) at the end of their training


@MODELS.register_module()
class TextImageHead(ImageHead, BaseModule):
    """Scaled cosine of the global embedding of an image with the embedding of each class.

    ``logits = scale * cos(image, class)``. The head has no parameter: prompts of the text branch
    (CoOp), prompts or adapters of the encoder learn, or nothing does (zero-shot).

    Args:
        num_classes: K.
        joint_dims: D of the encoder.
        text_dims: D of the text branch.
        text_scale: Scale in the file of the text tower, or None.
        scale: Replaces ``text_scale``; where neither is there, the scale is 100.
        label_smoothing: Of the cross entropy.

    Shapes:
        joint (B, D) and text (K, D) or (B, K, D) -> logits (B, K).

    Source: Radford et al., ICML 2021, Fig. 3; Zhou et al., IJCV 2022 (CoOp), Eq. 1.

    Example:
        >>> import torch
        >>> from rein_seg.heads.image import TextImageHead
        >>> from rein_seg.structures import Features
        >>> head = TextImageHead(num_classes=2, joint_dims=2, text_dims=2, scale=10.0)
        >>> joint = (torch.tensor([[3.0, 0.0]]), torch.zeros(1, 2, 4, 4))
        >>> head(Features(maps=(), joint=joint, text=torch.eye(2)))
        tensor([[10.,  0.]])
    """

    filled_in = ('num_classes', 'joint_dims', 'text_dims', 'text_scale')
    open_vocabulary = True

    def __init__(
        self,
        num_classes: int,
        *,
        joint_dims: int,
        text_dims: int,
        text_scale: float | None = None,
        scale: Positive | None = None,
        label_smoothing: Probability = 0.0,
    ) -> None:
        super().__init__()
        self.num_classes, self.label_smoothing = num_classes, label_smoothing
        self.scale = scale or text_scale or SCALE

    def forward(self, features: Features) -> Tensor:
        """Returns (B, K) logits."""
        assert features.joint is not None
        assert features.text is not None
        return cosine_logits(features.joint[0], features.text, self.scale)

    def loss(self, features: Features, labels: Tensor) -> dict[str, Tensor]:
        """Returns the cross entropy, ``loss_ce``."""
        logits = self(features)
        return {'loss_ce': F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)}

    def predict(self, features: Features) -> Tensor:
        """Returns (B, K) logits."""
        return self(features)
