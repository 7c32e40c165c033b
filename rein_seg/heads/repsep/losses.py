"""Auxiliary losses of the classes that an image holds.

B batch, K classes, D width, h x w map, H x W label, M pairs of an image and a class in it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def present_classes(labels: Tensor, num_classes: int) -> Tensor:
    """Returns (B, K) bool: whether an image's label holds a class.

    Args:
        labels: (B, H, W) class indexes; other values count for nothing.
        num_classes: K.

    Example:
        >>> import torch
        >>> from rein_seg.heads.repsep.losses import present_classes
        >>> present_classes(torch.tensor([[[0, 255]], [[2, 0]]]), 3).tolist()
        [[True, False, False], [True, False, True]]
    """
    classes = torch.arange(num_classes, device=labels.device)
    return (labels.flatten(1)[:, None] == classes[:, None]).any(2)


def attention_losses(
    attention: Sequence[Tensor], labels: Tensor, ignore_index: int | None
) -> tuple[Tensor, Tensor]:
    """Returns binary cross-entropy and Dice loss of attention logits and masks of their classes.

    Only classes in the image count: means over M pairs, sums over layers; ignored pixels are left
    out. Without a pair both are 0.

    Args:
        attention: (B, K, h, w) logits of each layer.
        labels: (B, H, W) class indexes and ignore_index.
        ignore_index: Label of pixels without a class.
    """
    image, index = present_classes(labels, attention[0].shape[1]).nonzero(as_tuple=True)
    if not len(image):
        zero = sum(logits.sum() for logits in attention) * 0
        return zero, zero
    known = labels[image] != (-1 if ignore_index is None else ignore_index)  # (M, H, W)
    masks = (labels[image] == index[:, None, None]).float()
    bce = dice = 0
    for logits in attention:
        chosen = F.interpolate(
            logits[image, index][:, None].float(), size=labels.shape[1:], mode='bilinear'
        )[:, 0]
        each = F.binary_cross_entropy_with_logits(chosen, masks, reduction='none')
        bce = bce + ((each * known).sum((1, 2)) / known.sum((1, 2))).mean()
        share = chosen.sigmoid() * known
        overlap = (share * masks).sum((1, 2))
        dice = dice + (1 - (2 * overlap + 1) / (share.sum((1, 2)) + masks.sum((1, 2)) + 1)).mean()
    return bce, dice


def class_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Returns the cross-entropy of classified queries: query k is of class k.

    Args:
        logits: (B, K, K): of each query, over classes.
        labels: (B, H, W); only classes that an image holds count.
    """
    image, index = present_classes(labels, logits.shape[1]).nonzero(as_tuple=True)
    if not len(image):
        return logits.sum() * 0
    return F.cross_entropy(logits[image, index].float(), index)
