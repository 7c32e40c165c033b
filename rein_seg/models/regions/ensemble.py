"""Classes of queries and of their regions, joined, and the segmentation that they make.

Q queries, R of them with a region, K classes, H x W image.
"""

from __future__ import annotations

import torch
from torch import Tensor


def join_scores(
    class_logits: Tensor, region_logits: Tensor, valid: Tensor, *, weight: float, seen: Tensor
) -> Tensor:
    """Returns (Q, K) scores of classes: powers of two probabilities, not normalised again.

    p is the softmax of a query over K classes and "no object", which is left out afterwards; r
    the softmax of its region over the K classes alone. p^w r^(1-w) is the score of a seen class,
    p^(1-w) r^w of another. r = 1 for a query without a region. With w = 0 the regions alone
    decide, as in the official code, not as the limit of the formula: the score of every class is
    r, and 0 for a query without a region.

    Args:
        class_logits: (Q, K+1) of queries, "no object" last.
        region_logits: (R, K).
        valid: (Q,) bool, true R times.
        weight: w, 0 to 1.
        seen: (K,) bool; of a data set without a list of seen classes, all false.

    Source: Xu et al., ECCV 2022 (A Simple Baseline), Sec. 3.4.

    Example:
        >>> import torch
        >>> from rein_seg.models.regions import join_scores
        >>> valid, seen = torch.tensor([True]), torch.tensor([True, False])
        >>> logits = torch.tensor([[0.0, 0.0, -torch.inf]]), torch.tensor([[2.0, 0.0]])
        >>> scores = join_scores(*logits, valid, weight=0.5, seen=seen)
        >>> [round(score, 3) for score in scores[0].tolist()]
        [0.664, 0.244]
    """
    region = region_logits.float().softmax(1)
    if weight == 0:
        return region.new_zeros(len(valid), region.shape[1]).masked_scatter(valid[:, None], region)
    query = class_logits.float().softmax(1)[:, :-1]
    whole = torch.ones_like(query)
    whole[valid] = region
    power = torch.where(seen, weight, 1 - weight)
    return query**power * whole ** (1 - power)


def segment(scores: Tensor, masks: Tensor) -> Tensor:
    """Returns (K, H, W) float32 scores of pixels: the sum over queries of class score times mask.

    Args:
        scores: (Q, K).
        masks: (Q, H, W) probabilities.
    """
    # a sum of a hundred terms: in bfloat16, pixels would be ties of classes
    with torch.autocast(masks.device.type, enabled=False):
        return torch.einsum('qk,qhw->khw', scores.float(), masks.float())
