"""Queries matched with the classes of an image, and their class loss.

L predictions, B images, Q queries, K classes, P pixels or points, N classes of an image, M matches
of all predictions and images, H x W label map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.heads.mask2former.points import is_class


@dataclass(frozen=True)
class Matches:
    """The matched queries and classes, in the order prediction, image, query.

    Attributes:
        layers: L, the number of predictions.
        layer: (M,) prediction of each match.
        image: (M,) its image.
        query: (M,) its query.
        label: (M,) its class.
    """

    layers: int
    layer: Tensor
    image: Tensor
    query: Tensor
    label: Tensor


class MatchedLoss(nn.Module):
    """The base of losses of a set of queries; a subclass computes costs and mask losses.

    Args:
        num_classes: K.
        weights: Of the class, mask and dice losses.
        cost_weights: Of the class, mask and dice costs of matching; None takes ``weights``.
        no_object_weight: Of queries without a match in the class loss.
        class_weights: K weights of the classes in the class loss; None weighs them alike.

    Raises:
        UserError: If the number of weights is wrong.

    Source: Cheng et al., "MaskFormer" (NeurIPS 2021), Sec. 3.2.

    Example:
        >>> import torch
        >>> from rein_seg.heads.mask2former.matching import MatchedLoss
        >>> loss = MatchedLoss(2, weights=(1.0, 1.0, 1.0))
        >>> costs = torch.tensor([[0.0, 1.0], [5.0, 2.0], [9.0, 9.0]])  # three queries, two classes
        >>> matches = loss.solve(costs[None, None], [torch.tensor([0, 1])])
        >>> matches.query.tolist(), matches.label.tolist()
        ([0, 1], [0, 1])
    """

    def __init__(
        self,
        num_classes: int,
        *,
        weights: tuple[float, float, float],
        cost_weights: Sequence[float] | None = None,
        no_object_weight: float = 0.1,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        name, self.num_classes, self.weights = type(self).__name__, num_classes, weights
        self.cost_weights = weights if cost_weights is None else tuple(cost_weights)
        if len(self.cost_weights) != 3:
            raise UserError(
                f'{name}: cost_weights={cost_weights}, expected three: class, mask, dice'
            )
        if class_weights is not None and len(class_weights) != num_classes:
            raise UserError(
                f'{name}: class_weights has {len(class_weights)} numbers, expected {num_classes}, '
                'one for each class'
            )
        weight = torch.ones(num_classes + 1)
        if class_weights is not None:
            weight[:-1] = torch.tensor(list(class_weights))
        weight[-1] = no_object_weight
        self.register_buffer('label_weight', weight, persistent=False)

    def present_classes(self, labels: Tensor) -> list[Tensor]:
        """Returns the class ids of each image, rising, on the CPU."""
        bins = self.num_classes + 1  # the last counts pixels of no mask
        ids = torch.where(is_class(labels, self.num_classes), labels.long(), self.num_classes)
        image = torch.arange(len(labels), device=labels.device).view(-1, 1, 1)
        counts = (ids + image * bins).flatten().bincount(minlength=bins * len(labels))
        counts = counts.view(-1, bins)[:, : self.num_classes].cpu()
        return [row.nonzero()[:, 0] for row in counts]

    def solve(self, costs: Tensor, present: list[Tensor]) -> Matches:
        """Solves the assignments of (L, B, Q, K) costs (Hungarian algorithm).

        Raises:
            FloatingPointError: If a cost is not finite.
        """
        device, costs = costs.device, costs.cpu()
        if not costs.isfinite().all():
            raise FloatingPointError(
                'matching costs are not finite: the predictions are NaN or infinite; lower the '
                'learning rate, clip gradients, or resume from an earlier checkpoint'
            )
        pairs = []
        for layer in range(len(costs)):
            for image, ids in enumerate(present):
                query, target = linear_sum_assignment(costs[layer, image][:, ids].numpy())
                query, target = torch.from_numpy(query), ids[torch.from_numpy(target)]
                place = torch.tensor([layer, image]).expand(len(query), 2)
                pairs.append(torch.cat((place, query[:, None], target[:, None]), dim=1))
        table = torch.cat(pairs).to(device)
        return Matches(len(costs), *table.unbind(1))

    def class_loss(self, classes: Tensor, matches: Matches) -> Tensor:
        """Returns the (L,) weighted cross-entropies."""
        target = classes.new_full(classes.shape[:3], self.num_classes, dtype=torch.long)
        target[matches.layer, matches.image, matches.query] = matches.label
        each = F.cross_entropy(
            classes.flatten(0, 2), target.flatten(), self.label_weight, reduction='none'
        )
        # the mean of each prediction over its own weights, as F.cross_entropy would take it
        total = self.label_weight[target].flatten(1).sum(1)
        return self.weights[0] * each.view(len(classes), -1).sum(1) / total


def dice_costs(s: Tensor, t: Tensor) -> Tensor:
    """Computes the (..., Q, N) dice costs of (..., Q, P) probabilities and (P, N) targets."""
    return 1 - (2 * (s @ t) + 1) / (s.sum(-1)[..., None] + t.sum(0) + 1)


def by_prediction(losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names (L,) losses: the last prediction's by their own name, the others' ``d0.*``, ``d1.*``.

    Example:
        >>> import torch
        >>> from rein_seg.heads.mask2former.matching import by_prediction
        >>> by_prediction({'loss_cls': torch.tensor([3.0, 2.0])})
        {'d0.loss_cls': tensor(3.), 'loss_cls': tensor(2.)}
    """
    last = len(next(iter(losses.values()))) - 1
    return {
        (name if layer == last else f'd{layer}.{name}'): loss[layer]
        for layer in range(last + 1)
        for name, loss in losses.items()
    }
