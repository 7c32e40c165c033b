"""Set prediction losses: queries are matched with the classes of an image, then compared.

L predictions (one before the decoder and one after each layer), B images, Q queries, K classes,
P points, M matched masks of all predictions and images, h x w mask, H x W label map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import product
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from rein_seg.errors import UserError
from rein_seg.fast.dispatch import has_fast_form
from rein_seg.heads.mask2former.matching import (
    MatchedLoss,
    Matches,
    by_prediction,
    dice_costs,
)
from rein_seg.heads.mask2former.points import sample, sample_class, sample_valid
from rein_seg.heads.processes import dist_mean


class Draws:
    """Uniform random points, in one draw for all predictions and images."""

    def matching(self, layers: int, images: int, number: int, device: torch.device) -> Tensor:
        """Returns (L, B, P, 2) points for the matching costs."""
        return torch.rand(layers, images, number, 2, device=device)

    @has_fast_form('short_draws')
    def candidates(self, masks: int, number: int, device: torch.device) -> Tensor:
        """Returns (M, number, 2) candidates for the uncertain points."""
        return torch.rand(masks, number, 2, device=device)

    def fresh(self, masks: int, number: int, device: torch.device) -> Tensor:
        """Returns (M, number, 2) further points."""
        return torch.rand(masks, number, 2, device=device)


class SetLoss(MatchedLoss):
    """Matches every prediction on its own and computes class, mask and dice losses.

    Pixels of other ids than 0..K-1 belong to no mask: they are background of every mask in the mask
    losses, as in the official code, unless ``leave_out_ignored``. Everything is float32.

    Args:
        num_classes: K.
        class_weight: Of the class loss.
        mask_weight: Of the binary cross-entropy loss.
        dice_weight: Of the dice loss.
        cost_weights: Of the class, mask and dice costs of matching; None takes the losses' weights.
        no_object_weight: Of queries without a match in the class loss.
        class_weights: K weights of the classes in the class loss; None weighs them alike.
        leave_out_ignored: Leaves points with a share of a pixel without a class out of mask losses
            and costs, and out of the uncertain points.
        num_points: P.
        oversample: Candidates for each mask, in units of P.
        uncertain_share: Part of the P loss points that are the most uncertain candidates.
        divisor: Of the mask and dice losses. ``pairs`` is the number of pairs of a prediction of
            the batch, at least 1. ``images`` counts an image without a class as one more pair, as
            Mask2Former's code does.

    Raises:
        UserError: If a number is out of range, or ``divisor`` is unknown.

    Shapes:
        class logits (L, B, Q, K+1), mask logits (L, B, Q, h, w), labels (B, H, W) -> dict of
        scalars.

    Source: Cheng et al., "Mask2Former" (CVPR 2022), Sec. 3.2.3 and 4.1.

    Example:
        >>> import torch
        >>> from rein_seg.heads.mask2former.losses import SetLoss
        >>> labels = torch.zeros(1, 8, 8, dtype=torch.long)  # one class, everywhere
        >>> classes = torch.tensor([[[[9.0, 0.0, 0.0], [0.0, 0.0, 9.0]]]])  # class 0, no object
        >>> masks = torch.full((1, 1, 2, 4, 4), 20.0)
        >>> losses = SetLoss(2, num_points=16)(classes, masks, labels)
        >>> sorted(losses), losses['loss_cls'].item() < 0.01
        (['loss_cls', 'loss_dice', 'loss_mask'], True)
    """

    draws = Draws()

    def __init__(
        self,
        num_classes: int,
        *,
        class_weight: float = 2.0,
        mask_weight: float = 5.0,
        dice_weight: float = 5.0,
        cost_weights: Sequence[float] | None = None,
        no_object_weight: float = 0.1,
        class_weights: Sequence[float] | None = None,
        leave_out_ignored: bool = False,
        num_points: int = 12544,
        oversample: float = 3.0,
        uncertain_share: float = 0.75,
        divisor: Literal['images', 'pairs'] = 'images',
    ) -> None:
        super().__init__(
            num_classes,
            weights=(class_weight, mask_weight, dice_weight),
            cost_weights=cost_weights,
            no_object_weight=no_object_weight,
            class_weights=class_weights,
        )
        if num_points < 1 or not 0 <= uncertain_share <= min(1, oversample):
            raise UserError(
                f'SetLoss: num_points={num_points}, oversample={oversample}, uncertain_share='
                f'{uncertain_share}; expected at least one point, and a share of 0..1 that is not '
                'above oversample'
            )
        if divisor not in ('images', 'pairs'):
            raise UserError(f'SetLoss: divisor={divisor!r}, expected images or pairs')
        self.least_pairs = 1 if divisor == 'images' else 0  # of an image
        self.leave_out_ignored = leave_out_ignored
        self.num_points = num_points
        self.num_candidates = int(num_points * oversample)
        self.num_uncertain = int(num_points * uncertain_share)

    def forward(
        self, classes: Tensor, masks: Tensor, labels: Tensor, draws: Draws | None = None
    ) -> dict[str, Tensor]:
        """Returns ``loss_cls, loss_mask, loss_dice`` of the last prediction, ``d0.*`` of others.

        Args:
            classes: Class logits; K is "no object".
            masks: Mask logits.
            labels: Class ids; others than 0..K-1 are ignored.
            draws: Source of random points.
        """

        def choose(found: Matches) -> Tensor:
            return masks[found.layer, found.image, found.query]

        return self.matched(classes, masks, labels, choose, draws)

    def matched(
        self,
        classes: Tensor,
        masks: Tensor | Iterable[Tensor],
        labels: Tensor,
        choose: Callable[[Matches], Tensor],
        draws: Draws | None = None,
    ) -> dict[str, Tensor]:
        """Returns the losses, see `forward`, where not all masks need to be held together.

        Args:
            classes: (L, B, Q, K+1) logits.
            masks: (L, B, Q, h, w) logits or parts of them, as for `match`.
            labels: (B, H, W).
            choose: Returns the (M, h, w) logits of the matched masks, with their gradient.
            draws: Source of random points.
        """
        draws = draws or self.draws
        with torch.autocast(classes.device.type, enabled=False):
            classes, present = classes.float(), self.present_classes(labels)
            matches = self.match(classes, masks, labels, present, draws)
            chosen = choose(matches).float()
            return self.compare(classes, chosen, labels, present, matches, draws)

    def compare(
        self,
        classes: Tensor,
        chosen: Tensor,
        labels: Tensor,
        present: list[Tensor],
        matches: Matches,
        draws: Draws,
    ) -> dict[str, Tensor]:
        """Returns the losses of matched predictions.

        Args:
            classes: (L, B, Q, K+1) logits.
            chosen: (M, h, w) logits of the matched masks.
            labels: (B, H, W).
            present: Class ids of each image.
            matches: From `match`.
            draws: Source of random points.
        """
        matched = [min(len(ids), classes.shape[2]) for ids in present]
        count = classes.new_full((), float(sum(max(m, self.least_pairs) for m in matched)))
        normaliser = dist_mean(count).clamp(min=1)
        each = {
            'loss_cls': self.class_loss(classes, matches),
            **self.mask_losses(chosen, labels, matches, normaliser, draws),
        }
        return by_prediction(each)

    @torch.no_grad()
    def match(
        self,
        classes: Tensor,
        masks: Tensor | Iterable[Tensor],
        labels: Tensor,
        present: list[Tensor],
        draws: Draws,
    ) -> Matches:
        """Finds the cheapest pairs of query and class for each prediction and image.

        Args:
            classes: (L, B, Q, K+1) logits.
            masks: (L, B, Q, h, w) logits, or parts of them, of some predictions each, which are
                freed one after the other.
            labels: (B, H, W).
            present: Class ids of each image.
            draws: Source of random points.

        Raises:
            FloatingPointError: If a cost is not finite: the training diverged.
        """
        points = draws.matching(*classes.shape[:2], self.num_points, classes.device)
        found, done = [], 0
        for part in [masks] if isinstance(masks, Tensor) else masks:
            here = slice(done, done + len(part))
            found.append(self.costs(classes[here], part.float(), labels, points[here]).sum(0))
            done += len(part)
        return self.solve(torch.cat(found), present)

    @has_fast_form('batched_costs')
    def costs(self, classes: Tensor, masks: Tensor, labels: Tensor, points: Tensor) -> Tensor:
        """Computes the weighted matching costs of every query with every class of its image.

        Args:
            classes: (L, B, Q, K+1) logits.
            masks: (L, B, Q, h, w) logits.
            labels: (B, H, W).
            points: (L, B, P, 2).

        Returns:
            (3, L, B, Q, K): class, mask, dice; undefined for classes that an image lacks.
        """
        costs = classes.new_zeros(3, *classes.shape[:-1], self.num_classes)
        present = self.present_classes(labels)
        for i, j in product(*map(range, classes.shape[:2])):
            ids = present[j].to(labels.device)
            each = self.costs_of_pair(classes[i, j], masks[i, j], labels[j], ids, points[i, j])
            costs[:, i, j][..., ids] = torch.stack(each)
        return costs

    def costs_of_pair(
        self, classes: Tensor, masks: Tensor, labels: Tensor, ids: Tensor, points: Tensor
    ) -> list[Tensor]:
        """Returns the (Q, N) class, mask and dice costs of a prediction of an image.

        Args:
            classes: (Q, K+1) logits.
            masks: (Q, h, w) logits.
            labels: (H, W).
            ids: (N,) classes of the image.
            points: (P, 2).
        """
        x = sample(masks, points.expand(len(masks), -1, -1))  # (Q, P)
        planes = (labels == ids[:, None, None]).to(x.dtype)
        t = sample(planes, points.expand(len(ids), -1, -1)).T  # (P, N)
        valid = x.new_ones(len(points))
        if self.leave_out_ignored:
            valid = self.valid(labels[None], labels.new_zeros(1).long(), points[None])[0]
        positive, negative, s = F.softplus(-x) * valid, F.softplus(x) * valid, x.sigmoid() * valid
        t, number = t * valid[:, None], valid.sum().clamp(min=1)
        # cross-entropy of each query with each class: -t log sigmoid(x) - (1 - t) log sigmoid(-x)
        bce = (positive @ t + negative @ (1 - t)) / number
        dice = dice_costs(s, t)
        label = -classes.softmax(-1)[:, ids]
        return [w * c for w, c in zip(self.cost_weights, (label, bce, dice), strict=True)]

    def mask_losses(
        self, chosen: Tensor, labels: Tensor, matches: Matches, normaliser: Tensor, draws: Draws
    ) -> dict[str, Tensor]:
        """Returns the (L,) mask and dice losses of the (M, h, w) matched masks."""
        at = partial(self.valid, labels, matches.image) if self.leave_out_ignored else None
        points = self.loss_points(chosen, draws, at)
        target = sample_class(labels, matches.image, matches.label, points)
        x = sample(chosen, points)  # (M, P)
        # softplus(x) - x t is the binary cross-entropy of logit x with target t
        s, bce, number = x.sigmoid(), F.softplus(x) - x * target, self.num_points
        if at is not None:
            valid = at(points)
            target, s, bce = target * valid, s * valid, bce * valid
            number = valid.sum(1).clamp(min=1)
        dice = 1 - (2 * (s * target).sum(1) + 1) / (s.sum(1) + target.sum(1) + 1)
        # without any match the losses are 0 and have a gradient of 0
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
        abs_logit = sample(masks, candidates).abs_()
        if valid is not None:
            abs_logit.masked_fill_(valid(candidates) == 0, torch.inf)
        best = abs_logit.topk(self.num_uncertain, dim=1, largest=False, sorted=False).indices
        uncertain = candidates.gather(1, best[..., None].expand(-1, -1, 2))
        rest = self.num_points - self.num_uncertain
        return torch.cat((uncertain, draws.fresh(len(masks), rest, masks.device)), dim=1)
