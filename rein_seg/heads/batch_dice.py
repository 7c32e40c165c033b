"""A soft Dice loss of all classes, over a whole batch.

B batch, K classes, H x W image.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from rein_seg.errors import UserError
from rein_seg.heads.named_loss import NamedLoss
from rein_seg.rules import NotNegative, Positive


@MODELS.register_module()
class BatchDiceLoss(NamedLoss):
    """1 - (2 sum p y + s) / (sum p^2 + sum y^2 + s), the mean over the classes.

    p is the softmax over the classes. The sums of a class run over all pixels of the batch;
    ignored pixels are in no sum. The background counts as a class. Computed in float32.

    Args:
        smooth: s.
        loss_weight: Factor of the loss.
        loss_name: Key in the dict of losses.

    Raises:
        UserError: If ``loss_name`` has no "loss" in it.

    Source: Chen et al., "TransUNet" (2021), in the form of its code, which takes it by half beside
    half the cross-entropy. Differs from it: pixels can be ignored.

    Example:
        >>> import torch
        >>> from rein_seg.heads import BatchDiceLoss
        >>> label = torch.tensor([[[0, 1, 1, 255]]])
        >>> right = 20.0 * torch.stack([label == 0, label == 1], dim=1)
        >>> [round(BatchDiceLoss()(sign * right, label).item(), 4) for sign in (1, -1)]
        [0.0, 1.0]
    """

    def __init__(
        self,
        *,
        smooth: Positive = 1e-5,
        loss_weight: NotNegative = 1.0,
        loss_name: str = 'loss_dice',
    ) -> None:
        super().__init__(loss_weight=loss_weight, loss_name=loss_name)
        self.smooth = smooth

    def forward(
        self, logits: Tensor, label: Tensor, weight: Tensor | None = None, ignore_index: int = 255
    ) -> Tensor:
        """Returns the loss, a scalar.

        Args:
            logits: (B, K, H, W).
            label: (B, H, W) class indexes and ``ignore_index``.
            weight: Must be None. A head of mmseg with a sampler passes pixel weights.
            ignore_index: Label of pixels that change no loss.

        Raises:
            UserError: If ``weight`` is given, or there is a single channel.
        """
        if logits.shape[1] == 1:
            raise UserError(
                'BatchDiceLoss compares the softmax of all classes, the head gives one channel: '
                'leave decode_head.out_channels out, or take StructureLoss'
            )
        if weight is not None:
            raise UserError('BatchDiceLoss takes no pixel weights: remove the sampler')
        valid = (label != ignore_index)[:, None]
        known = torch.where(valid[:, 0], label, 0).long()
        target = F.one_hot(known, logits.shape[1]).movedim(-1, 1) * valid
        with torch.autocast(logits.device.type, enabled=False):
            p = logits.float().softmax(1) * valid
            both = (p * target).sum((0, 2, 3))
            each = (p * p).sum((0, 2, 3)) + target.sum((0, 2, 3))
            dice = (2 * both + self.smooth) / (each + self.smooth)
            return self.loss_weight * (1 - dice).mean()
