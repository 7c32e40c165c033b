"""Scores of the classes from the masks of all queries, at full size.

Measured: masks of 100 queries, resized to 512x512, their sigmoid and the product with their
classes, queries last in memory: 98 -> 51 ms. Added up in place, 32 queries at a time, they take 34
in place of 105 MB in 1.03 of that time.

B images, Q queries, K classes, h x w mask, H x W image.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from rein_seg.fast.channels_last import channels_last

AT_ONCE = 32  # queries whose masks are held at full size


def combine(classes: Tensor, masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Computes sum over q of classes[q, k] sigmoid(resize(masks[q])).

    Image by image: the masks at full size are the largest tensors of a prediction.

    Args:
        classes: (B, Q, K) probabilities.
        masks: (B, Q, h, w) logits.
        size: (H, W).

    Returns:
        (B, K, H, W), float32.

    Example:
        >>> import torch
        >>> from rein_seg.fast.combined_masks import combine
        >>> combine(torch.full((1, 2, 1), 0.5), torch.zeros(1, 2, 4, 4), (8, 8)).mean().item()
        0.5
    """
    # a sum of a hundred terms: in bfloat16, 2 % of the pixels would be ties of classes
    with torch.autocast(masks.device.type, enabled=False):
        images = list(zip(classes.float(), masks.float(), strict=True))
        if torch.is_grad_enabled():
            return torch.stack([_combine_one(weight, mask, size) for weight, mask in images])
        scores = masks.new_zeros(len(images), classes.shape[2], *size, dtype=torch.float32)
        for each, (weight, mask) in zip(scores, images, strict=True):
            _combine_one(weight, mask, size, each)
        return scores


def _combine_one(
    classes: Tensor, masks: Tensor, size: tuple[int, int], into: Tensor | None = None
) -> Tensor:
    """Returns the (K, H, W) scores of an image, added up in the zeros of ``into`` if given."""
    scores = classes.new_zeros(classes.shape[1], *size) if into is None else into
    scores = scores.flatten(1)
    for weight, part in zip(classes.split(AT_ONCE), masks.split(AT_ONCE), strict=True):
        full = F.interpolate(channels_last(part[None]), size=size, mode='bilinear')
        pixels = full[0].sigmoid_().permute(1, 2, 0).flatten(0, 1)  # (HW, q)
        if into is None:
            scores = scores.addmm(weight.T, pixels.T)
        else:
            scores.addmm_(weight.T, pixels.T)
    return scores.unflatten(1, size)
