"""Cross-entropy of the hard pixels alone (OHEM).

B batch, K classes, H x W image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from rein_seg.errors import UserError
from rein_seg.heads.named_loss import NamedLoss
from rein_seg.rules import NotNegative, Probability, at_least


@MODELS.register_module()
class OHEMLoss(NamedLoss):
    """Computes the mean cross-entropy over hard pixels: their class has p < ``thresh``.

    At least ``min_kept`` pixels of a batch count, those with the lowest p.

    Args:
        thresh: Probability of the labelled class.
        min_kept: Pixels of a batch.
        class_weight: Factor of each class, after the choice of pixels.
        loss_weight: Factor of the loss.
        loss_name: Key in the dict of losses.

    Raises:
        UserError: If ``loss_name`` has no "loss" in it.

    Source: Shrivastava et al., CVPR 2016, in the form that DDRNet's recipe in mmsegmentation has.
    Differs from it: where every pixel has the same p, all of them count; there the loss is not a
    number.

    Example:
        >>> import torch
        >>> from rein_seg.heads import OHEMLoss
        >>> logits = torch.tensor([[3.0, 0.0, -3.0], [0.0, 0.0, 0.0]]).view(1, 2, 1, 3)
        >>> labels = torch.zeros(1, 1, 3, dtype=torch.long)
        >>> OHEMLoss(min_kept=1)(logits, labels)  # of p = 0.95, 0.5, 0.05 the last two
        tensor(1.8709)
    """

    def __init__(
        self,
        *,
        thresh: Probability = 0.9,
        min_kept: Annotated[int, at_least(1)] = 131072,
        class_weight: Sequence[NotNegative] | None = None,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_ohem',
    ) -> None:
        super().__init__(loss_weight=loss_weight, loss_name=loss_name)
        self.thresh, self.min_kept, self.class_weight = thresh, min_kept, class_weight

    def forward(
        self, logits: Tensor, label: Tensor, weight: Tensor | None = None, ignore_index: int = 255
    ) -> Tensor:
        """Returns the loss, a scalar; 0 if every pixel is ignored.

        Args:
            logits: (B, K, H, W).
            label: (B, H, W) class indexes.
            weight: Must be None. A head with a sampler passes pixel weights.
            ignore_index: Label of pixels that change no loss.

        Raises:
            UserError: If ``weight`` is given, there is one channel, or the weights are not K.
        """
        self._check(logits.shape[1], weight)
        valid = label != ignore_index
        if not valid.any():
            return logits.sum() * 0
        with torch.autocast(logits.device.type, enabled=False):
            logits = logits.float()
            factors = None if self.class_weight is None else logits.new_tensor(self.class_weight)
            losses = F.cross_entropy(
                logits, label, weight=factors, ignore_index=ignore_index, reduction='none'
            )
            return (
                self.loss_weight * losses[valid][self._hard(logits.detach(), label, valid)].mean()
            )

    def _hard(self, logits: Tensor, label: Tensor, valid: Tensor) -> Tensor:
        """Returns which of the labelled pixels count."""
        classes = label.where(valid, 0)[:, None]
        correct = logits.softmax(1).gather(1, classes)[:, 0][valid]
        rank = min(self.min_kept, correct.numel() - 1)
        hard = correct < correct.kthvalue(rank + 1).values.clamp(min=self.thresh)
        return hard if hard.any() else ~hard

    def _check(self, channels: int, weight: Tensor | None) -> None:
        if weight is not None:
            raise UserError('OHEMLoss chooses pixels itself: remove the sampler of the head')
        if channels == 1:
            raise UserError(
                'OHEMLoss compares classes, the head gives one channel: leave out_channels out, or '
                'use StructureLoss'
            )
        if self.class_weight is not None and len(self.class_weight) != channels:
            raise UserError(
                f'OHEMLoss class_weight has {len(self.class_weight)} numbers, the head has '
                f'{channels} classes: give a number for each class, or leave it out'
            )
