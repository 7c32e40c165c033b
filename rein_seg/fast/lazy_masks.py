"""Masks of Mask2Former's queries, made at the size and for the queries that need them.

A mask is the product of a query's embedding with the features of every pixel. Four identities:

- e . (W f + b) = (e W) . f + e . b: the mask features are a 1x1 convolution of the fine map. On the
  side of the queries it has a thousand rows instead of sixteen thousand pixels.
- Resizing is linear: the fine map is resized once for each level instead of every mask.
- Matching needs all masks without a gradient, the losses the matched tenth with a gradient.
- A prediction needs the masks of the last layer alone.

Measured: ten products of masks as one 117 -> 58 ms; a prediction of the head in 0.76 of the time.

L predictions, B images, Q queries, K classes, D width, M matched masks, h x w fine map, S pixels of
a level, H x W image.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rein_seg.fast.shrink import shrink

# predictions; their masks and the samples of them make up most of the memory of the losses
MATCHED_AT_ONCE = 2


class MaskEmbeds(NamedTuple):
    """A mask is ``weight . f + bias`` of each pixel f: (..., Q, D) and (..., Q)."""

    weight: Tensor
    bias: Tensor


def forward(head: Any, features: Any) -> tuple[Tensor, Tensor]:
    """Computes `Mask2FormerHead.forward`: class and mask logits of all predictions."""
    fine, queries = decode(head, features)
    return head.cls_embed(queries), all_masks(mask_embeds(head, queries), fine)


def loss(head: Any, features: Any, labels: Tensor, draws: Any = None) -> dict[str, Tensor]:
    """Computes `Mask2FormerHead.loss` with a gradient for the matched masks alone."""
    fine, queries = decode(head, features)
    classes, embeds = head.cls_embed(queries), mask_embeds(head, queries)
    fine = fine.to(embeds.weight.dtype)  # under autocast the products of masks are lower, too
    parts = zip(*(each.split(MATCHED_AT_ONCE) for each in embeds), strict=True)
    masks = (all_masks(MaskEmbeds(*part), fine) for part in parts)
    choose = partial(picked_masks, embeds, fine)
    return head.set_loss.matched(classes, masks, head.without_ignored(labels), choose, draws)


def predict(head: Any, features: Any, size: tuple[int, int]) -> Tensor:
    """Computes `Mask2FormerHead.predict` from the masks of the last prediction alone."""
    fine, queries = decode(head, features)
    masks = all_masks(mask_embeds(head, queries[-1:]), fine)
    return head.combine(head.cls_embed(queries[-1]), masks[0], size)


def decode(head: Any, features: Any) -> tuple[Tensor, Tensor]:
    """Returns the fine map (B, D, h, w) and the normed queries (L, B, Q, D) of all predictions."""
    maps = [features.maps[i] for i in head.in_index]
    fine, memory = head.pixel_decoder.decode(maps, head.scales)
    fine = fine.contiguous()  # products with pixels in rows take two thirds of the time
    small = [shrink(fine.detach(), tuple(level.shape[-2:])).flatten(2) for level in memory]
    keys, values = head.keys_and_values(memory)
    x, position = head.first_queries(features.queries, len(fine))

    def look(queries: Tensor, level: int) -> Tensor:
        return attention_mask(mask_embeds(head, queries), small[level])

    return fine, head.transformer_decoder(x, position, keys, values, look)


def mask_embeds(head: Any, queries: Tensor) -> MaskEmbeds:
    """Returns the factors of the fine map in the masks of (..., Q, D) queries."""
    embeds, conv = head.mask_embed(queries), head.pixel_decoder.mask_feature
    return MaskEmbeds(embeds @ conv.weight[:, :, 0, 0], embeds @ conv.bias)


def all_masks(embeds: MaskEmbeds, fine: Tensor) -> Tensor:
    """Returns the (L, B, Q, h, w) logits of (L, B, Q) queries on the (B, D, h, w) fine map.

    All queries of a pixel lie together in memory, as sampling at shared points (`sample_shared`)
    and resizing (`combined_masks`) read them.
    """
    layers, images, queries = embeds.bias.shape
    weight = embeds.weight.transpose(0, 1).flatten(1, 2).transpose(1, 2)  # (B, D, LQ)
    bias = embeds.bias.transpose(0, 1).reshape(images, 1, layers * queries)
    masks = torch.baddbmm(bias, fine.flatten(2).transpose(1, 2), weight)
    return masks.view(images, *fine.shape[-2:], layers, queries).permute(3, 0, 4, 1, 2)


def picked_masks(embeds: MaskEmbeds, fine: Tensor, matches: Any) -> Tensor:
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

    Args:
        embeds: Of (B, Q) queries.
        small: (B, D, S) the fine map in the size of the level.

    Example:
        >>> import torch
        >>> from rein_seg.fast.lazy_masks import MaskEmbeds, attention_mask
        >>> embeds = MaskEmbeds(torch.tensor([[[1.0], [-1.0]]]), torch.zeros(1, 2))
        >>> attention_mask(embeds, torch.tensor([[[2.0, -0.5, 3.0]]]))
        tensor([[[[ True, False,  True],
                  [False,  True, False]]]])
    """
    look = embeds.weight @ small >= -embeds.bias[..., None]
    look |= ~look.any(-1, keepdim=True)
    return look[:, None]
