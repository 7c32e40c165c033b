"""The loss of MaskFormer: queries are matched with the classes of an image, all pixels compared.

L predictions (one of each layer), B images, Q queries, K classes, N classes of an image, M matched
masks of all predictions and images, P = h w pixels of a mask, H x W label map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from rein_seg.heads.mask2former.matching import MatchedLoss, Matches, by_prediction, dice_costs
from rein_seg.heads.mask2former.points import is_class
from rein_seg.heads.mask_losses import Exponent, dice, focal
from rein_seg.heads.processes import dist_mean
from rein_seg.peft.arguments import checked
from rein_seg.rules import NotNegative, Probability


class MaskFormerLoss(MatchedLoss):
    """Matches every prediction on its own and computes class, focal and dice losses in float32.

    Matching compares masks in their own size, with the nearest label of each pixel; losses compare
    the matched masks, enlarged bilinearly to the labels. Mask losses are divided by the number of
    pairs of an image and a class that it shows (the mean over processes, at least 1).

    Args:
        num_classes: K.
        class_weight: Of the cross-entropy.
        mask_weight: Of the focal loss.
        dice_weight: Of the dice loss.
        cost_weights: Of the class, mask and dice costs of matching; None takes the losses' weights.
        no_object_weight: Of queries without a match in the cross-entropy.
        alpha: Weight of a mask's pixels in the focal loss; 1 - alpha weighs the other pixels.
        gamma: Exponent of the focal loss, 0 or at least 1.
        ignored: ``negative``: pixels of other ids than 0..K-1 belong to no mask, and every mask is
            to be dark there. ``masked``: they add nothing to mask losses and costs.

    Shapes:
        class logits (L, B, Q, K+1), mask logits (L, B, Q, h, w), labels (B, H, W) -> dict of
        scalars.

    Raises:
        UserError: If an argument is not as above.

    Source: Cheng et al., "MaskFormer" (NeurIPS 2021), Sec. 3.2 and 4.1.

    Example:
        >>> import torch
        >>> from rein_seg.heads.maskformer import MaskFormerLoss
        >>> labels = torch.zeros(1, 8, 8, dtype=torch.long)  # one class, everywhere
        >>> classes = torch.tensor([[[[9.0, 0.0, 0.0], [0.0, 0.0, 9.0]]]])  # class 0, no object
        >>> masks = torch.full((1, 1, 2, 4, 4), 20.0)
        >>> losses = MaskFormerLoss(2)(classes, masks, labels)
        >>> sorted(losses), sum(losses.values()).item() < 0.01
        (['loss_cls', 'loss_dice', 'loss_mask'], True)
    """

    @checked
    def __init__(
        self,
        num_classes: int,
        *,
        class_weight: NotNegative = 1.0,
        mask_weight: NotNegative = 20.0,
        dice_weight: NotNegative = 1.0,
        cost_weights: Sequence[float] | None = None,
        no_object_weight: NotNegative = 0.1,
        alpha: Probability = 0.25,
        gamma: Exponent = 2.0,
        ignored: Literal['negative', 'masked'] = 'negative',
    ) -> None:
        super().__init__(
            num_classes,
            weights=(class_weight, mask_weight, dice_weight),
            cost_weights=cost_weights,
            no_object_weight=no_object_weight,
        )
        self.alpha, self.gamma, self.ignored = alpha, gamma, ignored

    def forward(self, classes: Tensor, masks: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Returns ``loss_cls, loss_mask, loss_dice`` of the last prediction, ``d0.*`` of others.

        Args:
            classes: Class logits; K is "no object".
            masks: Mask logits.
            labels: Class ids; others than 0..K-1 are ignored.
        """
        with torch.autocast(classes.device.type, enabled=False):
            classes, masks = classes.float(), masks.float()
            present = self.present_classes(labels)
            matches = self.solve(self.costs(classes, masks, labels, present), present)
            chosen = masks[matches.layer, matches.image, matches.query]
            count = chosen.new_tensor(float(sum(map(len, present))))
            return by_prediction(
                {
                    'loss_cls': self.class_loss(classes, matches),
                    **self.mask_losses(chosen, labels, matches, dist_mean(count).clamp(min=1)),
                }
            )

    @torch.no_grad()
    def costs(
        self, classes: Tensor, masks: Tensor, labels: Tensor, present: Sequence[Tensor]
    ) -> Tensor:
        """Computes the weighted matching costs of every query with every class of its image.

        Returns:
            (L, B, Q, K); 0 for classes that an image lacks.
        """
        found = classes.new_zeros(*classes.shape[:3], self.num_classes)
        size = masks.shape[-2:]
        small = F.interpolate(labels[:, None].float(), size=size, mode='nearest').long().flatten(1)
        for image, ids in enumerate(present):
            ids = ids.to(labels.device)
            label = -classes[:, image].softmax(-1)[..., ids]
            mask, dice = self.mask_costs(masks[:, image].flatten(2), small[image], ids)
            each = zip(self.cost_weights, (label, mask, dice), strict=True)
            found[:, image][..., ids] = sum(weight * cost for weight, cost in each)
        return found

    def mask_costs(self, x: Tensor, labels: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the (L, Q, N) focal and dice costs.

        Args:
            x: (L, Q, P) logits.
            labels: (P,).
            ids: (N,) classes of the image.
        """
        t = (labels[:, None] == ids).to(x.dtype)  # (P, N)
        valid = torch.ones_like(x[0, 0])
        if self.ignored == 'masked':
            valid = is_class(labels, self.num_classes).to(x.dtype)
        s = x.sigmoid()
        positive = self.alpha * (1 - s) ** self.gamma * F.softplus(-x)
        negative = (1 - self.alpha) * s**self.gamma * F.softplus(x)
        mask = (positive @ t + (negative * valid) @ (1 - t)) / valid.sum().clamp(min=1)
        return mask, dice_costs(s * valid, t)

    def mask_losses(
        self, chosen: Tensor, labels: Tensor, matches: Matches, normaliser: Tensor
    ) -> dict[str, Tensor]:
        """Returns the (L,) focal and dice losses of the (M, h, w) matched masks."""
        # without any match the losses are 0 and have a gradient of 0
        start = chosen.new_zeros(matches.layers) + chosen[:0].sum()
        if len(chosen) == 0:
            return {'loss_mask': start, 'loss_dice': start}
        x = F.interpolate(chosen[:, None], size=labels.shape[1:], mode='bilinear')
        target = (labels[matches.image] == matches.label[:, None, None])[:, None].to(x.dtype)
        valid = x.new_ones(()).expand_as(x)
        if self.ignored == 'masked':
            valid = is_class(labels, self.num_classes)[matches.image][:, None].to(x.dtype)
        each = {
            'loss_mask': focal(x, target, valid, alpha=self.alpha, gamma=self.gamma),
            'loss_dice': dice(x, target, valid),
        }
        return {
            name: weight * start.index_add(0, matches.layer, value[:, 0]) / normaliser
            for weight, (name, value) in zip(self.weights[1:], each.items(), strict=True)
        }
