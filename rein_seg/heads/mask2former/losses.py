"""Set prediction losses: match queries to the classes of an image, then compare.

L predictions (one before the decoder and one after each layer), B images, Q queries, K classes,
P points, M matched masks of all predictions and images, h x w mask, H x W label map.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from mmengine import dist
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.heads.mask2former.points import (
    is_class,
    sample_class,
    sample_classes,
    sample_own,
    sample_shared,
    sample_valid,
)

# predictions; their masks and what is sampled of them make up most of the memory of the losses
MATCHED_AT_ONCE = 2


@dataclass(frozen=True)
class Matches:
    """Who was matched with whom: (M,) each, in the order prediction, image, query.

    ``layers`` is L, the number of predictions.
    """

    layers: int
    layer: Tensor
    image: Tensor
    query: Tensor
    label: Tensor


Pick = Callable[[Matches], Tensor]


class Draws:
    """Uniform random points, in one draw for all predictions and images."""

    def matching(self, layers: int, images: int, number: int, device: torch.device) -> Tensor:
        """Returns (L, B, P, 2) points for the matching costs."""
        return torch.rand(layers, images, number, 2, device=device)

    def candidates(self, masks: int, number: int, device: torch.device) -> Tensor:
        """Returns (M, number, 2) points to choose the uncertain ones from.

        On a CPU they lie on a grid of 65536 x 65536: four coordinates of each draw of 64 bits,
        since numbers are drawn one after the other.
        """
        shape = (masks, number, 2)
        if device.type != 'cpu':
            return torch.rand(shape, device=device)
        total = math.prod(shape)
        bits = torch.empty((total + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        steps = bits.view(torch.int16)[:total].view(shape)
        return steps.float().add_(2**15 + 0.5).mul_(2**-16)

    def fresh(self, masks: int, number: int, device: torch.device) -> Tensor:
        """Returns (M, number, 2) further points."""
        return torch.rand(masks, number, 2, device=device)


class SetLoss(nn.Module):
    """Matches every prediction on its own and computes class, mask and dice losses.

    Pixels of other ids than 0..K-1 belong to no mask: they are background of every mask and not
    left out of the mask losses, as officially, unless ``leave_out_ignored``. Everything is float32.

    Args:
        num_classes: K.
        class_weight: Of the class loss.
        mask_weight: Of the binary cross-entropy loss.
        dice_weight: Of the dice loss.
        cost_weights: Of the class, mask and dice costs of matching; None takes those of the losses.
        no_object_weight: Of queries without a match in the class loss.
        leave_out_ignored: Points that a pixel of no class contributes to count in no mask loss or
            cost, and the uncertain ones are chosen from the others.
        num_points: P.
        oversample: Candidates for each mask, in units of P.
        uncertain_share: Part of the P loss points taken from the most uncertain candidates.

    Shapes:
        class logits (L, B, Q, K+1), mask logits (L, B, Q, h, w), labels (B, H, W) -> dict of
        scalars.

    Source: Cheng et al., "Mask2Former" (CVPR 2022), Sec. 3.2.3 and 4.1.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        class_weight: float = 2.0,
        mask_weight: float = 5.0,
        dice_weight: float = 5.0,
        cost_weights: Sequence[float] | None = None,
        no_object_weight: float = 0.1,
        leave_out_ignored: bool = False,
        num_points: int = 12544,
        oversample: float = 3.0,
        uncertain_share: float = 0.75,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.weights = (class_weight, mask_weight, dice_weight)
        self.cost_weights = self.weights if cost_weights is None else tuple(cost_weights)
        if len(self.cost_weights) != 3:
            raise UserError(
                f'SetLoss: cost_weights={cost_weights}, expected three: class, mask, dice'
            )
        if num_points < 1 or not 0 <= uncertain_share <= min(1, oversample):
            raise UserError(
                f'SetLoss: num_points={num_points}, oversample={oversample}, uncertain_share='
                f'{uncertain_share}; expected at least one point, and a share of 0..1 that is not '
                'above oversample'
            )
        self.leave_out_ignored = leave_out_ignored
        self.num_points = num_points
        self.num_candidates = int(num_points * oversample)
        self.num_uncertain = int(num_points * uncertain_share)
        weight = torch.ones(num_classes + 1)
        weight[-1] = no_object_weight
        self.register_buffer('label_weight', weight, persistent=False)

    def forward(
        self,
        classes: Tensor,
        masks: Tensor | Iterable[Tensor],
        labels: Tensor,
        draws: Draws | None = None,
        pick: Pick | None = None,
    ) -> dict[str, Tensor]:
        """Returns ``loss_cls, loss_mask, loss_dice`` of the last prediction, ``d0.*`` of others.

        Args:
            classes: Class logits; K is "no object".
            masks: Mask logits; with ``pick`` they may come in parts, some predictions each, which
                are matched one after the other and let go.
            labels: Class ids; others than 0..K-1 are ignored.
            draws: Where random points come from.
            pick: Computes the (M, h, w) logits of the matched masks, the only ones that get a
                gradient; None takes them out of ``masks``.
        """
        draws = draws or Draws()
        pick = pick or (lambda matches: masks[matches.layer, matches.image, matches.query])
        with torch.autocast(classes.device.type, enabled=False):
            classes = classes.float()
            present = self.present_classes(labels)
            matches = self.match(classes, masks, labels, present, draws)
            matched = [min(len(ids), classes.shape[2]) for ids in present]
            count = classes.new_full((), float(sum(max(m, 1) for m in matched)))
            normaliser = dist_mean(count).clamp(min=1)
            each = {
                'loss_cls': self.class_loss(classes, matches),
                **self.mask_losses(pick(matches).float(), labels, matches, normaliser, draws),
            }
        last = len(classes) - 1
        return {
            (name if layer == last else f'd{layer}.{name}'): loss[layer]
            for layer in range(len(classes))
            for name, loss in each.items()
        }

    def present_classes(self, labels: Tensor) -> list[Tensor]:
        """Returns the class ids of each image, rising, on the CPU."""
        bins = self.num_classes + 1  # the last holds what belongs to no mask
        ids = torch.where(is_class(labels, self.num_classes), labels.long(), self.num_classes)
        image = torch.arange(len(labels), device=labels.device).view(-1, 1, 1)
        counts = (ids + image * bins).flatten().bincount(minlength=bins * len(labels))
        counts = counts.view(-1, bins)[:, : self.num_classes].cpu()
        return [row.nonzero()[:, 0] for row in counts]

    @torch.no_grad()
    def costs(self, classes: Tensor, masks: Tensor, labels: Tensor, points: Tensor) -> Tensor:
        """Computes the weighted matching costs of every query with every class.

        Args:
            classes: (L, B, Q, K+1) logits.
            masks: (L, B, Q, h, w) logits.
            labels: (B, H, W).
            points: (L, B, P, 2).

        Returns:
            (3, L, B, Q, K): class, mask, dice.
        """
        layers, images = classes.shape[:2]
        flat = points.flatten(0, 1)
        x = sample_shared(masks, points).flatten(0, 1)  # (LB, Q, P)
        image = torch.arange(images, device=masks.device).repeat(layers)
        t = sample_classes(labels, image, flat, self.num_classes).transpose(1, 2)  # (LB, P, K)
        number = self.num_points
        if self.leave_out_ignored:
            valid = self.valid(labels, image, flat)  # (LB, P)
            t = t * valid[..., None]
            number = valid.sum(-1).clamp(min=1)[:, None, None]

        def total(values: Tensor) -> Tensor:
            values = values * valid[:, None] if self.leave_out_ignored else values
            return values.sum(-1, keepdim=True)  # (LB, Q, 1)

        # t softplus(-x) + (1 - t) softplus(x) = softplus(x) - t x
        bce = (total(F.softplus(x)) - x @ t) / number
        s = x.sigmoid_()
        dice = 1 - (2 * (s @ t) + 1) / (total(s) + t.sum(1)[:, None] + 1)
        label = -classes.softmax(-1)[..., : self.num_classes].flatten(0, 1)
        each = [w * c for w, c in zip(self.cost_weights, (label, bce, dice), strict=True)]
        return torch.stack(each).unflatten(1, (layers, images))

    @torch.no_grad()
    def match(
        self,
        classes: Tensor,
        masks: Tensor | Iterable[Tensor],
        labels: Tensor,
        present: list[Tensor],
        draws: Draws,
    ) -> Matches:
        """Finds the cheapest pairs for each prediction and image (Hungarian algorithm).

        Raises:
            FloatingPointError: If a cost is not finite: the training diverged.
        """
        layers, images = classes.shape[:2]
        points = draws.matching(layers, images, self.num_points, classes.device)
        parts = masks.split(MATCHED_AT_ONCE) if isinstance(masks, Tensor) else masks
        found, done = [], 0
        for part in parts:
            here = slice(done, done + len(part))
            found.append(self.costs(classes[here], part.float(), labels, points[here]).sum(0))
            done += len(part)
        costs = torch.cat(found).cpu()
        if not costs.isfinite().all():
            raise FloatingPointError(
                'matching costs are not finite: the predictions are NaN or infinite; lower the '
                'learning rate, clip gradients, or resume from an earlier checkpoint'
            )
        pairs = []
        for layer in range(layers):
            for image, ids in enumerate(present):
                query, target = linear_sum_assignment(costs[layer, image][:, ids].numpy())
                query, target = torch.from_numpy(query), ids[torch.from_numpy(target)]
                place = torch.tensor([layer, image]).expand(len(query), 2)
                pairs.append(torch.cat((place, query[:, None], target[:, None]), dim=1))
        table = torch.cat(pairs).to(classes.device)
        return Matches(layers, *table.unbind(1))

    def class_loss(self, classes: Tensor, matches: Matches) -> Tensor:
        """Returns the (L,) weighted cross-entropies."""
        target = classes.new_full(classes.shape[:3], self.num_classes, dtype=torch.long)
        target[matches.layer, matches.image, matches.query] = matches.label
        each = F.cross_entropy(
            classes.flatten(0, 2), target.flatten(), self.label_weight, reduction='none'
        )
        total = self.label_weight[target].flatten(1).sum(1)
        return self.weights[0] * each.view(len(classes), -1).sum(1) / total

    def mask_losses(
        self, chosen: Tensor, labels: Tensor, matches: Matches, normaliser: Tensor, draws: Draws
    ) -> dict[str, Tensor]:
        """Returns the (L,) mask and dice losses of the (M, h, w) matched masks."""
        at = partial(self.valid, labels, matches.image) if self.leave_out_ignored else None
        points = self.loss_points(chosen, draws, at)
        target = sample_class(labels, matches.image, matches.label, points)
        x = sample_own(chosen, points)  # (M, P)
        s, bce, number = x.sigmoid(), F.softplus(x) - x * target, self.num_points
        if at is not None:
            valid = at(points)
            target, s, bce = target * valid, s * valid, bce * valid
            number = valid.sum(1).clamp(min=1)
        dice = 1 - (2 * (s * target).sum(1) + 1) / (s.sum(1) + target.sum(1) + 1)
        # without any match the losses are 0, still with a gradient: of 0
        start = chosen.new_zeros(matches.layers) + chosen[:0].sum()
        return {
            name: weight * start.index_add(0, matches.layer, value) / normaliser
            for name, weight, value in (
                ('loss_mask', self.weights[1], bce.sum(1) / number),
                ('loss_dice', self.weights[2], dice),
            )
        }

    def valid(self, labels: Tensor, image: Tensor, points: Tensor) -> Tensor:
        """Returns (R, P): 1 where only pixels of a class contribute, else 0; see `sample_valid`."""
        return sample_valid(labels, image, points, self.num_classes)

    @torch.no_grad()
    def loss_points(
        self, masks: Tensor, draws: Draws, valid: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor:
        """Returns (M, P, 2) points: the most uncertain valid candidates, then fresh ones."""
        candidates = draws.candidates(len(masks), self.num_candidates, masks.device)
        doubt = sample_own(masks, candidates).abs_()
        if valid is not None:
            doubt.masked_fill_(valid(candidates) == 0, torch.inf)
        best = doubt.topk(self.num_uncertain, dim=1, largest=False, sorted=False).indices
        uncertain = candidates.gather(1, best[..., None].expand(-1, -1, 2))
        rest = self.num_points - self.num_uncertain
        return torch.cat((uncertain, draws.fresh(len(masks), rest, masks.device)), dim=1)


def dist_mean(value: Tensor) -> Tensor:
    """Returns the mean over processes."""
    if dist.get_world_size() > 1:
        value = value.clone()
        dist.all_reduce(value, op='mean')
    return value
