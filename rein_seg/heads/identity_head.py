"""The auxiliary head of DenseCLIP: the score maps of pixels and words are themselves the logits.

B batch, K classes, h x w map.
"""

from __future__ import annotations

from mmseg.registry import MODELS
from torch import Tensor

from rein_seg.heads.mmseg_head import LogitsHead
from rein_seg.peft.arguments import checked
from rein_seg.rules import Positive
from rein_seg.structures import Features


@MODELS.register_module()
class IdentityHead(LogitsHead):
    """Takes cosine scores, divided by a temperature, for logits; nothing in it learns.

    Args:
        num_classes: K; filled in by the segmentor.
        temperature: Divisor of the scores.
        **kwargs: As mmseg's `BaseDecodeHead` (loss_decode, ignore_index, ...). The default loss is
            cross-entropy with factor 0.4, a mean over all pixels: ignored pixels add 0, but count.

    Shapes:
        `Features` with scores (B, K, h, w) -> logits (B, K, h, w).

    Raises:
        UserError: If the temperature is not above 0.

    Source: Rao et al., "DenseCLIP" (CVPR 2022), Sec. 3.2, and the official code. Differs from it:
    none.

    Example:
        >>> import torch
        >>> from rein_seg.heads import IdentityHead
        >>> from rein_seg.structures import Features
        >>> head = IdentityHead(3)
        >>> features = Features(maps=(), scores=torch.zeros(1, 3, 4, 4))
        >>> head.loss(features, torch.zeros(1, 8, 8, dtype=torch.long))['loss_ce']  # 0.4 log 3
        tensor(0.4394)
    """

    filled_in = ('num_classes',)
    reads_scores = True

    @checked
    def __init__(self, num_classes: int, *, temperature: Positive = 0.07, **kwargs) -> None:
        kwargs.setdefault('loss_decode', dict(type='CrossEntropyLoss', loss_weight=0.4))
        super().__init__(
            in_channels=num_classes, channels=num_classes, num_classes=num_classes,
            **{'init_cfg': None, **kwargs},
        )  # fmt: skip
        del self.conv_seg
        self.temperature = temperature

    def forward(self, features: Features) -> Tensor:
        """Returns the (B, K, h, w) logits."""
        assert features.scores is not None
        return features.scores / self.temperature
