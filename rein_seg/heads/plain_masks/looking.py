"""Masked attention with annealing: which patches a query may attend to in a block.

B batch, Q queries, M blocks, h x w masks, H x W grid of N patches.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rein_seg.resize import resize_to


class MaskDraws:
    """Uniform random numbers that free queries of their masks."""

    def uniform(self, block: int, batch: int, queries: int, device: torch.device) -> Tensor:
        """Returns (B, Q) numbers from 0 to below 1.

        Args:
            block: Index of the block among the M.
            batch: B.
            queries: Q.
            device: Of the result.
        """
        return torch.rand(batch, queries, device=device)


@torch.no_grad()
def open_patches(
    masks: Tensor, grid: tuple[int, int], probability: float, uniform: Tensor | None = None
) -> Tensor:
    """Returns (B, Q, N) bool: True where a query may attend to a patch.

    Args:
        masks: (B, Q, h, w) logits; a query sees the patches where its resized mask is above 0.
        grid: (H, W).
        probability: That a query is masked; 1 masks every query.
        uniform: (B, Q) numbers from 0 to below 1, for a smaller probability: a query whose number
            is above it sees every patch.

    Example:
        >>> import torch
        >>> from rein_seg.heads.plain_masks.looking import open_patches
        >>> masks = torch.tensor([[[[2.0, -1.0]], [[-3.0, -1.0]]]])  # two queries, two patches
        >>> open_patches(masks, (1, 2), 1.0)[0]
        tensor([[ True, False],
                [False, False]])
        >>> open_patches(masks, (1, 2), 0.5, torch.tensor([[0.3, 0.7]]))[0]
        tensor([[ True, False],
                [ True,  True]])
    """
    inside = resize_to(masks, grid).flatten(2) > 0
    if uniform is None:
        return inside
    return inside | (uniform > probability)[..., None]


def mask_plan(probabilities: Sequence[float], *, training: bool) -> tuple[float | None, ...]:
    """Returns for each block the probability that a query is masked, None where no mask is made.

    In training every block predicts a mask, which is supervised, also where the probability is 0.
    In tests there is no chance: a block masks every query if its probability is at least 0.5, and
    needs no mask otherwise.

    Args:
        probabilities: Of the M blocks, 0..1.
        training: Whether the model trains.

    Example:
        >>> from rein_seg.heads.plain_masks.looking import mask_plan
        >>> mask_plan([0.0, 0.4, 1.0], training=True)
        (0.0, 0.4, 1.0)
        >>> mask_plan([0.0, 0.4, 1.0], training=False)
        (None, None, 1.0)
    """
    if training:
        return tuple(probabilities)
    return tuple(1.0 if probability >= 0.5 else None for probability in probabilities)
