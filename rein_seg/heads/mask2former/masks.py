"""Masks of queries: products of their embeddings with the features of every pixel.

B images, Q queries, K classes, D width, h x w mask, S pixels of a level, H x W image.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rein_seg.fast.dispatch import has_fast_form
from rein_seg.heads.mask2former.layers import resize_to


def mask_logits(embeds: Tensor, pixels: Tensor) -> Tensor:
    """Multiplies (..., B, Q, D) embeddings with (B, D, h, w) pixels: (..., B, Q, h, w).

    Example:
        >>> import torch
        >>> from rein_seg.heads.mask2former.masks import mask_logits
        >>> mask_logits(torch.ones(1, 5, 8), torch.ones(1, 8, 2, 3))[0, 0]
        tensor([[8., 8., 8.],
                [8., 8., 8.]])
    """
    return torch.einsum('...bqd,bdhw->...bqhw', embeds, pixels)


def attention_mask(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Returns (B, 1, Q, S): True where a query's mask is at least 0.5, everywhere if nowhere.

    Args:
        masks: (B, Q, h, w) logits.
        size: (height, width) of the level.

    Example:
        >>> import torch
        >>> from rein_seg.heads.mask2former.masks import attention_mask
        >>> masks = torch.tensor([[2.0, -0.5, 3.0], [-1.0, -1.0, -1.0]]).view(1, 2, 1, 3)
        >>> attention_mask(masks, (1, 3))  # the second query sees nothing, so it looks everywhere
        tensor([[[[ True, False,  True],
                  [ True,  True,  True]]]])
    """
    look = resize_to(masks, size).flatten(2).sigmoid() >= 0.5
    look |= ~look.any(-1, keepdim=True)
    return look[:, None]


@has_fast_form('combined_masks')
def combine(classes: Tensor, masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Computes sum over q of classes[q, k] sigmoid(resize(masks[q])).

    Args:
        classes: (B, Q, K) probabilities.
        masks: (B, Q, h, w) logits.
        size: (H, W).

    Returns:
        (B, K, H, W), float32.
    """
    # a sum of a hundred terms: in bfloat16, 2 % of the pixels would be ties of classes
    with torch.autocast(masks.device.type, enabled=False):
        full = resize_to(masks.float(), size).sigmoid()
        return torch.einsum('bqk,bqhw->bkhw', classes.float(), full)
