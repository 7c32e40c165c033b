"""Masks of queries: products of their embeddings with the fine map.

L predictions, B images, Q queries, K classes, D width, M matched masks, h x w fine map, S pixels of
a level.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from rein_seg.heads.mask2former.losses import Matches
from rein_seg.resize import channels_last, shrink


class MaskEmbeds(NamedTuple):
    """A mask is ``weight . f + bias`` of each pixel f: (..., Q, D) and (..., Q)."""

    weight: Tensor
    bias: Tensor


def all_masks(embeds: MaskEmbeds, fine: Tensor) -> Tensor:
    """Returns the (L, B, Q, h, w) logits of (L, B, Q) queries on the (B, D, h, w) fine map.

    All queries of a pixel lie together, as sampling at shared points (`sample_shared`) and resizing
    (`combine`) want them.
    """
    layers, images, queries = embeds.bias.shape
    weight = embeds.weight.transpose(0, 1).flatten(1, 2).transpose(1, 2)  # (B, D, LQ)
    bias = embeds.bias.transpose(0, 1).reshape(images, 1, layers * queries)
    masks = torch.baddbmm(bias, fine.flatten(2).transpose(1, 2), weight)
    return masks.view(images, *fine.shape[-2:], layers, queries).permute(3, 0, 4, 1, 2)


def picked_masks(embeds: MaskEmbeds, fine: Tensor, matches: Matches) -> Tensor:
    """Returns the (M, h, w) logits of the matched queries alone."""
    place = (matches.layer, matches.image, matches.query)
    weight, bias = embeds.weight[place], embeds.bias[place]
    images = [(matches.image == i).nonzero()[:, 0] for i in range(len(fine))]
    each = [
        torch.addmm(bias[i, None], weight[i], x.flatten(1))
        for i, x in zip(images, fine, strict=True)
    ]
    order = torch.cat(images).argsort()
    return torch.cat(each).index_select(0, order).unflatten(1, fine.shape[-2:])


def attention_mask(embeds: MaskEmbeds, small: Tensor) -> Tensor:
    """Returns (B, 1, Q, S): True where a query's mask is at least 0.5, everywhere if nowhere.

    Resizing the fine map once for each level, instead of every mask, is the same by linearity.

    Args:
        embeds: Of (B, Q) queries.
        small: (B, D, S) the fine map in the size of the level.
    """
    look = embeds.weight @ small >= -embeds.bias[..., None]
    look |= ~look.any(-1, keepdim=True)
    return look[:, None]


def resize_features(features: Tensor, size: tuple[int, int]) -> Tensor:
    """Returns the (B, D, S) fine map in the size of a level, without a gradient."""
    return shrink(features.detach(), size).flatten(2)


def combine(classes: Tensor, masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Computes sum over q of classes[q, k] sigmoid(resize(masks[q])).

    Image by image: the masks at full size are the largest tensors of a prediction.

    Args:
        classes: (B, Q, K) probabilities.
        masks: (B, Q, h, w) logits.
        size: (H, W).

    Returns:
        (B, K, H, W), float32.
    """
    # sums of a hundred terms: in bfloat16 2 % of the pixels would be ties, won by the first class
    with torch.autocast(masks.device.type, enabled=False):
        images = zip(classes.float(), masks.float(), strict=True)
        return torch.stack([_combine_one(weight, mask, size) for weight, mask in images])


def _combine_one(classes: Tensor, masks: Tensor, size: tuple[int, int]) -> Tensor:
    full = F.interpolate(channels_last(masks[None]), size=size, mode='bilinear')
    pixels = full[0].sigmoid_().permute(1, 2, 0).flatten(0, 1)  # (HW, Q)
    return (classes.T @ pixels.T).unflatten(1, size)
