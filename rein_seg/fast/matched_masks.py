"""Masks of plain mask heads: queries last in memory, and a gradient for the matched masks alone.

Every mask is needed to match queries with classes; the losses read the matched tenth. The gradient
of all others is zero, so the backward pass of the product leaves their rows out. Sampling at shared
points (`sample_shared`) and resizing (`combined_masks`) read all queries of a pixel together.

L predictions, B images, Q queries, K classes, D width, M matched masks, h x w masks.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def applies(*arguments: Any, **options: Any) -> bool:
    """Says whether the form is taken: on a CPU, outside of compiled and exported graphs."""
    tensor = next((each for each in arguments if isinstance(each, Tensor)), options.get('labels'))
    assert tensor is not None
    return tensor.device.type == 'cpu' and not torch.compiler.is_compiling()


def mask_product(embeds: Tensor, pixels: Tensor) -> Tensor:
    """Multiplies (B, Q, D) embeddings with (B, D, h, w) pixels: (B, Q, h, w), queries last.

    Example:
        >>> import torch
        >>> from rein_seg.fast.matched_masks import mask_product
        >>> mask_product(torch.ones(1, 5, 8), torch.ones(1, 8, 2, 3)).stride()  # (B, h, w, Q)
        (30, 1, 15, 5)
    """
    if torch.is_autocast_enabled(pixels.device.type):
        dtype = torch.get_autocast_dtype(pixels.device.type)
        embeds, pixels = embeds.to(dtype), pixels.to(dtype)
    rows = pixels.permute(0, 2, 3, 1).flatten(1, 2)  # (B, hw, D)
    masks = _Product.apply(embeds, rows)
    return masks.unflatten(1, pixels.shape[-2:]).permute(0, 3, 1, 2)


class _Product(torch.autograd.Function):
    """(B, Q, D), (B, S, D) -> (B, S, Q); the gradient skips queries whose own is zero."""

    @staticmethod
    def forward(ctx: Any, embeds: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(embeds, rows)
        return torch.bmm(rows, embeds.transpose(1, 2))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        embeds, rows = ctx.saved_tensors
        of_embeds, of_rows = torch.zeros_like(embeds), torch.empty_like(rows)
        for i, each in enumerate(grad.transpose(1, 2)):  # (Q, S)
            used = each.any(1).nonzero()[:, 0]
            some = each[used]
            of_embeds[i, used] = some @ rows[i]
            torch.mm(some.T, embeds[i, used], out=of_rows[i])
        return of_embeds, of_rows


def loss(head: Any, features: Any, labels: Tensor, draws: Any = None) -> dict[str, Tensor]:
    """Computes `PlainMaskHead.loss` without a copy of all masks."""
    classes, masks = zip(*head.predictions(features), strict=True)
    parts = (each.detach()[None] for each in masks)
    labels, choose = head.without_ignored(labels), partial(picked_masks, masks)
    return head.set_loss.matched(torch.stack(classes), parts, labels, choose, draws)


def picked_masks(masks: Sequence[Tensor], matches: Any) -> Tensor:
    """Returns the (M, h, w) logits of the matched queries, of L predictions (B, Q, h, w).

    Args:
        masks: Of each prediction.
        matches: In the order of the predictions.
    """
    counts = torch.bincount(matches.layer, minlength=len(masks)).tolist()
    places = zip(matches.image.split(counts), matches.query.split(counts), strict=True)
    return torch.cat([x[place] for x, place in zip(masks, places, strict=True)])
