"""The losses of masks that each answer for one class: focal and dice.

B batch, K classes of the masks, h x w mask, H x W label map.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.heads.mask_losses import Exponent, dice, focal
from rein_seg.heads.processes import dist_mean
from rein_seg.peft.arguments import checked
from rein_seg.rules import NotNegative, Probability


class ATMLoss(nn.Module):
    """Compares a mask of every class with the label map; computed in float32.

    With n the number of pairs of an image and a class that it shows (the mean over processes, at
    least 1), p the sigmoid of a mask and y its pixels in the label map:

    focal = 1 / n sum over images and all classes of the mean over pixels of
    a (1 - q)^gamma (-log q), q = p and a = alpha where y = 1, else q = 1 - p and a = 1 - alpha;

    dice = 1 / n sum over the pairs of 1 - (2 sum p y + 1) / (sum p + sum y + 1).

    Args:
        mask_weight: Factor of the focal loss.
        dice_weight: Factor of the dice loss.
        alpha: Weight of the pixels of a class; 1 - alpha weighs the other pixels.
        gamma: Exponent of the focal loss, 0 or at least 1.
        ignored: ``negative``: pixels without a class belong to no class, and every mask is to be
            dark there, as in the official code. ``masked``: they add nothing.

    Shapes:
        masks (B, K, h, w) logits, labels (B, H, W) -> dict of scalars. Masks are resized
        bilinearly to the labels.

    Raises:
        UserError: If an argument is not as above.

    Source: Zhou et al., "ZegCLIP" (CVPR 2023), Sec. 3.4; its weights and treatment of ignored
    pixels from its code.

    Example:
        >>> import torch
        >>> from rein_seg.heads.atm import ATMLoss
        >>> labels = torch.tensor([[[0, 0, 255, 255]]])  # class 0, then ignored
        >>> masks = torch.tensor([20.0, 20.0, 20.0, -20.0]).expand(1, 1, 1, 4)
        >>> [round(ATMLoss(ignored=name)(masks, labels)['loss_mask'].item(), 1)
        ...     for name in ('negative', 'masked')]
        [375.0, 0.0]
    """

    @checked
    def __init__(
        self,
        *,
        mask_weight: NotNegative = 100.0,
        dice_weight: NotNegative = 1.0,
        alpha: Probability = 0.25,
        gamma: Exponent = 2.0,
        ignored: Literal['negative', 'masked'] = 'negative',
    ) -> None:
        super().__init__()
        self.mask_weight, self.dice_weight = mask_weight, dice_weight
        self.alpha, self.gamma, self.ignored = alpha, gamma, ignored

    def forward(self, masks: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Returns ``loss_mask`` and ``loss_dice``.

        Args:
            masks: (B, K, h, w) logits.
            labels: (B, H, W) indexes of the masks; others are pixels without a class.
        """
        with torch.autocast(masks.device.type, enabled=False):
            x = F.interpolate(masks.float(), size=labels.shape[1:], mode='bilinear')
            classes = torch.arange(x.shape[1], device=x.device)[:, None, None]
            target = (labels[:, None] == classes).float()  # (B, K, H, W)
            valid = torch.ones_like(target[:, :1])
            if self.ignored == 'masked':
                valid = target.sum(1, keepdim=True)
            present = target.flatten(2).any(2)  # (B, K)
            pairs = dist_mean(present.sum().float()).clamp(min=1)
            each = focal(x, target, valid, alpha=self.alpha, gamma=self.gamma)
            return {
                'loss_mask': self.mask_weight * each.sum() / pairs,
                'loss_dice': self.dice_weight * (dice(x, target, valid) * present).sum() / pairs,
            }
