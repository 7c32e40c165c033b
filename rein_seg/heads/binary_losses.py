"""Losses of one foreground class, for any head with one output channel.

B batch, H x W image.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from rein_seg.errors import UserError
from rein_seg.heads.named_loss import NamedLoss

BCE_FORMS = ('mean', 'weighted')


class BinaryLoss(NamedLoss):
    """The base of the losses here: reads labels 0, 1 and ``ignore_index``, computes in float32.

    A soft mask, of floats, gives each pixel its share of foreground.

    Args:
        loss_weight: Factor of the loss.
        loss_name: Key in the dict of losses.
    """

    def forward(
        self, logits: Tensor, label: Tensor, weight: Tensor | None = None, ignore_index: int = 255
    ) -> Tensor:
        """Returns the loss, a scalar.

        Args:
            logits: (B, 1, H, W).
            label: (B, H, W) integers, or floats 0..1 of soft masks.
            weight: Must be None. A head of mmseg with a sampler passes pixel weights.
            ignore_index: Label of pixels that change no loss.

        Raises:
            UserError: If ``weight`` is given, or there is more than one channel.
        """
        if logits.shape[1] != 1:
            raise UserError(
                f'{type(self).__name__} compares one channel with labels 0 and 1, the head gives '
                f'{logits.shape[1]}: set decode_head.out_channels=1'
            )
        if weight is not None:
            raise UserError(f'{type(self).__name__} takes no pixel weights: remove the sampler')
        valid = (label != ignore_index)[:, None].float()
        soft = label.is_floating_point()
        target = (label if soft else label == 1)[:, None].float() * valid
        with torch.autocast(logits.device.type, enabled=False):
            return self.loss_weight * self.compare(logits.float(), target, valid)

    def compare(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        """Returns the loss of (B, 1, H, W) logits; ``target`` is 0..1, ``valid`` is 0 or 1."""
        raise NotImplementedError


@MODELS.register_module()
class StructureLoss(BinaryLoss):
    """Cross-entropy plus soft IoU, with more weight where the label varies within 31 pixels.

    w = 1 + 5 |mean over 31 x 31 of y - y|, with 5 the ``boundary_weight`` and 31 the ``window``;
    IoU part = 1 - (sum w p y + 1) / (sum w (p + y) - sum w p y + 1), for each image.

    Args:
        bce: ``mean``: the cross-entropy ignores w and is the mean over the batch. The code of
            PraNet, which Conv-LoRA uses, computes this, because it sets PyTorch's deprecated
            argument ``reduce``. ``weighted``: sum w bce / sum w for each image, as in the paper.
        window: Side in pixels. Outside the image the label counts as 0.
        boundary_weight: Further weight of a pixel whose label is the only of its kind.
        loss_weight: Factor of the loss.

    Raises:
        UserError: If ``bce`` is neither, ``window`` is even, or ``boundary_weight`` is negative.

    Source: Fan et al., "PraNet" (MICCAI 2020), Sec. 2.3. Differs from it: see ``bce``; ignored
    pixels are in no sum, and count as background within the windows.

    Example:
        >>> import torch
        >>> from rein_seg.heads import StructureLoss
        >>> label = torch.zeros(1, 64, 64, dtype=torch.long)
        >>> label[:, 16:48, 16:48] = 1
        >>> right, wrong = (sign * (20.0 * label[:, None] - 10) for sign in (1, -1))
        >>> round(StructureLoss()(right, label).item(), 3)
        0.0
        >>> round(StructureLoss()(wrong, label).item(), 3)
        11.0
    """

    def __init__(
        self,
        *,
        bce: str = 'mean',
        window: int = 31,
        boundary_weight: float = 5.0,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_structure',
    ) -> None:
        super().__init__(loss_weight=loss_weight, loss_name=loss_name)
        if bce not in BCE_FORMS:
            raise UserError(f'StructureLoss: bce={bce!r}, expected one of {", ".join(BCE_FORMS)}')
        if window < 1 or window % 2 == 0:
            raise UserError(f'StructureLoss: window={window}, expected an odd number of pixels')
        if boundary_weight < 0:
            raise UserError(f'StructureLoss: boundary_weight={boundary_weight}, expected 0 or more')
        self.bce = bce
        self.boundary_weight = boundary_weight
        self.window = window

    def compare(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        """Returns the sum of the two parts, each a mean over the images."""
        weight = self.pixel_weights(target) * valid
        bce = F.binary_cross_entropy_with_logits(logits, target, reduction='none') * valid
        if self.bce == 'mean':
            entropy = bce.sum() / valid.sum().clamp(min=1)
        else:
            entropy = ((weight * bce).sum((2, 3)) / weight.sum((2, 3)).clamp(min=1)).mean()
        return entropy + self.soft_iou(logits.sigmoid(), target, weight).mean()

    def pixel_weights(self, target: Tensor) -> Tensor:
        """Returns w (B, 1, H, W), 1 to 1 + ``boundary_weight``."""
        side, pad = self.window, self.window // 2
        # rows, then columns: 2 x 31 terms a pixel instead of 31 x 31
        mean = F.avg_pool2d(target, (side, 1), stride=1, padding=(pad, 0))
        mean = F.avg_pool2d(mean, (1, side), stride=1, padding=(0, pad))
        return 1 + self.boundary_weight * (mean - target).abs()

    @staticmethod
    def soft_iou(probability: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Returns the IoU part of each image, (B, 1)."""
        both = (weight * probability * target).sum((2, 3))
        either = (weight * (probability + target)).sum((2, 3)) - both
        return 1 - (both + 1) / (either + 1)


@MODELS.register_module()
class BalancedBCELoss(BinaryLoss):
    """Cross-entropy that gives foreground and background the same total weight in a batch.

    n1 / (n0 + n1) * mean of -(n0 / n1 y log p + (1 - y) log(1 - p)), with n1 foreground and n0
    background pixels.

    Args:
        loss_weight: Factor of the loss.

    Source: the loss for shadows in the code of Conv-LoRA (Zhong et al., ICLR 2024).

    Example:
        >>> import torch
        >>> from rein_seg.heads import BalancedBCELoss
        >>> logits, label = torch.zeros(1, 1, 1, 4), torch.tensor([[[1, 0, 0, 255]]])
        >>> round(BalancedBCELoss()(logits, label).item(), 4)
        0.3081
    """

    def __init__(self, *, loss_weight: float = 1.0, loss_name: str = 'loss_balanced_bce') -> None:
        super().__init__(loss_weight=loss_weight, loss_name=loss_name)

    def compare(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        """Returns the loss of the batch."""
        foreground = (target * valid).sum() + 1e-10
        background = ((1 - target) * valid).sum()
        each = F.binary_cross_entropy_with_logits(
            logits, target, reduction='none', pos_weight=background / foreground
        )
        share = foreground / (foreground + background)
        return share * (each * valid).sum() / valid.sum().clamp(min=1)
