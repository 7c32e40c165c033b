"""Rein with Mask2Former computed as it is officially: what our forms are measured beside.

Each entry of `OFFICIAL` undoes one of our rewrites and gives the same result.

L predictions, B images, Q queries, K classes, D width, P points, h x w fine map, S pixels of a
level.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from mmpretrain.models.utils.attention import MultiheadAttention
from torch import Tensor, nn

from rein_seg.environment import giving_memory_back
from rein_seg.fast import onednn_matmul as products
from rein_seg.fast import winograd
from rein_seg.heads.mask2former import deform_attn, head, losses
from rein_seg.heads.mask2former.layers import ConvGN
from rein_seg.heads.mask2former.losses import Draws, Matches, SetLoss
from rein_seg.heads.mask2former.masks import MaskEmbeds
from rein_seg.heads.mask2former.pixel_decoder import PixelDecoder
from rein_seg.heads.mask2former.points import sample_own
from rein_seg.resize import resize_by
from rein_seg.structures import Features
from rein_seg.timing import replaced

Mask2FormerHead = head.Mask2FormerHead
SCORES = 'scores of attention in memory'
MEMORY = 'freed memory given back'
PRODUCTS = "PyTorch's own products"


def attend(
    q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0
) -> Tensor:
    """Attention with its (..., N, S) scores in memory."""
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
    return scores.softmax(-1) @ v


def resize_then_convolve(self: ConvGN, x: Tensor, scale: float = 1) -> Tensor:
    """Convolves all channels of the encoder's map at the size of the level."""
    return self.gn(self.conv(resize_by(x, scale)))


def project_every_pixel(self: PixelDecoder, *args: Any) -> tuple[Tensor, list[Tensor]]:
    """The mask features at full size, not on the side of the queries."""
    fine, memory = _decode_pixels(self, *args)
    return self.mask_feature(fine), memory


def embeds_as_they_are(self: Mask2FormerHead, queries: Tensor) -> MaskEmbeds:
    """What goes with `project_every_pixel`."""
    embeds = self.mask_embed(queries)
    return MaskEmbeds(embeds, embeds.new_zeros(embeds.shape[:-1]))


def masks_of(embeds: MaskEmbeds, fine: Tensor) -> Tensor:
    """Returns the (B, Q, h, w) masks of one prediction."""
    masks = torch.baddbmm(embeds.bias[..., None], embeds.weight, fine.flatten(2))
    return masks.unflatten(2, fine.shape[-2:])


def whole_map(features: Tensor, size: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
    """Leaves the fine map as it is, for `mask_then_resize`."""
    return features.detach(), size


def mask_then_resize(embeds: MaskEmbeds, small: tuple[Tensor, tuple[int, int]]) -> Tensor:
    """The masks at full size, resized to the level."""
    fine, size = small
    masks = masks_of(embeds, fine)
    masks = F.interpolate(masks, size=size, mode='bilinear', align_corners=False)
    hidden = masks.flatten(2)[:, None].sigmoid() < 0.5
    hidden[hidden.all(-1)] = False
    return ~hidden


def each_mask(self: Mask2FormerHead, features: Features) -> tuple[Tensor, list[Tensor]]:
    """Class logits, and the mask logits (B, Q, h, w) of one prediction after the other."""
    fine, each = self.decode(features)
    masks = [masks_of(self.mask_embeds(queries), fine) for queries in each]
    return self.cls_embed(torch.stack(each)), masks


def loss_of_all_masks(
    self: Mask2FormerHead,
    features: Features,
    labels: Tensor,
    draws: Draws | None = None,
) -> dict[str, Tensor]:
    """Every mask with a graph."""
    classes, masks = each_mask(self, features)

    def pick(matches: Matches) -> Tensor:
        own = zip(matches.layer.tolist(), matches.image, matches.query, strict=True)
        return torch.stack([masks[layer][image, query] for layer, image, query in own])

    each = (mask[None] for mask in masks)
    return self.set_loss(classes, each, self.without_ignored(labels), draws, pick)


def predict_all(self: Mask2FormerHead, features: Features, size: tuple[int, int]) -> Tensor:
    """All predictions, of which the last is used; every mask and probability at full size."""
    classes, masks = each_mask(self, features)
    full = F.interpolate(masks[-1], size=size, mode='bilinear', align_corners=False)
    probabilities = classes[-1].softmax(-1)[..., :-1]
    return torch.einsum('bqk,bqhw->bkhw', probabilities, full.sigmoid())


def costs_one_by_one(
    self: SetLoss, classes: Tensor, masks: Tensor, labels: Tensor, points: Tensor
) -> Tensor:
    """One image after the other, each mask sampled on its own; without ``leave_out_ignored``."""
    with torch.no_grad():
        found = classes.new_zeros(3, *classes.shape[:-1], self.num_classes)
        for layer, image in torch.cartesian_prod(*map(torch.arange, classes.shape[:2])).tolist():
            ids = labels[image].unique()
            ids = ids[ids < self.num_classes].long()
            planes = (labels[image] == ids[:, None, None]).float()
            at = points[layer, image]
            t = sample_own(planes, at.expand(len(ids), -1, -1))
            x = sample_own(masks[layer, image], at.expand(masks.shape[2], -1, -1))
            ones = torch.ones_like(x)
            present = F.binary_cross_entropy_with_logits(x, ones, reduction='none')
            absent = F.binary_cross_entropy_with_logits(x, ones * 0, reduction='none')
            bce = (present @ t.T + absent @ (1 - t).T) / self.num_points
            s = x.sigmoid()
            sums = s.sum(-1)[:, None] + t.sum(-1)[None]
            dice = 1 - (2 * (s @ t.T) + 1) / (sums + 1)
            label = -classes[layer, image].softmax(-1)[:, ids]
            each = zip(self.cost_weights, (label, bce, dice), strict=True)
            costs = torch.stack([weight * cost for weight, cost in each])
            found[:, layer, image][..., ids] = costs
        return found


def sample_each(labels: Tensor, image: Tensor, wanted: Tensor, at: Tensor) -> Tensor:
    """The mask of every row on its own, at full size."""
    return sample_own((labels[image] == wanted[:, None, None]).float(), at)


_decode_pixels = PixelDecoder.forward
Patches = Sequence[tuple[Any, str, Any]]
OFFICIAL: dict[str, Patches] = {
    'sampling level by level': [(deform_attn, 'deform_sample', deform_attn.sample_by_grid)],
    "PyTorch's softmax": [(deform_attn, 'short_softmax', partial(torch.softmax, dim=-1))],
    SCORES: [(F, 'scaled_dot_product_attention', attend)],
    'resize, then convolve': [
        (ConvGN, 'forward', resize_then_convolve),
        (winograd, 'pays', lambda x, weight: False),
    ],
    'mask features of every pixel': [
        (PixelDecoder, 'forward', project_every_pixel),
        (Mask2FormerHead, 'mask_embeds', embeds_as_they_are),
    ],
    'attention masks at full size': [
        (head, 'resize_features', whole_map),
        (head, 'attention_mask', mask_then_resize),
    ],
    'a gradient for every mask': [(Mask2FormerHead, 'loss', loss_of_all_masks)],
    'costs one by one': [(SetLoss, 'costs', costs_one_by_one)],
    'masks of classes one by one': [(losses, 'sample_class', sample_each)],
    'every prediction at full size': [(Mask2FormerHead, 'predict', predict_all)],
    MEMORY: [],
    PRODUCTS: [],
}
_AROUND = {MEMORY: giving_memory_back, PRODUCTS: partial(products.onednn, False)}


@contextlib.contextmanager
def officially(
    names: Iterable[str] = tuple(OFFICIAL), model: nn.Module | None = None
) -> Iterator[None]:
    """Has what is named computed as it is officially, for a while.

    Args:
        names: Of `OFFICIAL`.
        model: Its encoder's attentions are changed, too; mmpretrain's hold their function.
    """
    with contextlib.ExitStack() as stack:
        for name in names:
            if name in _AROUND:
                stack.enter_context(_AROUND[name]())
            for patch in OFFICIAL[name]:
                stack.enter_context(replaced(*patch))
            if model is not None and name == SCORES:
                for module in model.modules():
                    if isinstance(module, MultiheadAttention):
                        own = (module, 'scaled_dot_product_attention', attend)
                        stack.enter_context(replaced(*own))
        yield
