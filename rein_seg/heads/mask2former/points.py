"""Bilinear samples of masks and label maps at points.

Points are (x, y) in 0..1; outside the map is zero. R rows (pairs of prediction and image, or
masks), P points, Q queries, K classes, h x w mask, H x W label map.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def corners(points: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Returns the four pixels around each point and their weights.

    Args:
        points: (R, P, 2).
        size: (height, width).

    Returns:
        (R, P, 4) indexes into the flattened map, and (R, P, 4) weights, zero outside it.
    """
    height, width = size
    x, y = (points * points.new_tensor([width, height]) - 0.5).unbind(-1)
    left, top = x.floor(), y.floor()
    right_share, low_share = x - left, y - top
    xs = torch.stack((left, left + 1, left, left + 1), dim=-1)
    ys = torch.stack((top, top, top + 1, top + 1), dim=-1)
    x_share = torch.stack((1 - right_share, right_share) * 2, dim=-1)
    y_share = torch.stack((1 - low_share,) * 2 + (low_share,) * 2, dim=-1)
    inside = (xs >= 0) & (xs < width) & (ys >= 0) & (ys < height)
    index = ys.clamp(0, height - 1) * width + xs.clamp(0, width - 1)
    return index.long(), torch.where(inside, x_share * y_share, 0)


def sample_own(masks: Tensor, points: Tensor) -> Tensor:
    """Samples each of (R, h, w) masks at its own (R, P, 2) points; returns (R, P)."""
    grid = points[:, :, None] * 2 - 1
    return F.grid_sample(masks[:, None], grid, align_corners=False)[:, 0, :, 0]


@torch.no_grad()
def sample_shared(masks: Tensor, points: Tensor) -> Tensor:
    """Samples all Q masks of a row at the same points, without a gradient.

    One gather of rows that hold all queries of a pixel: a sample for each mask would find the same
    corners Q times.

    Args:
        masks: (R, Q, h, w).
        points: (R, P, 2).

    Returns:
        (R, Q, P).
    """
    rows, queries, height, width = masks.shape
    index, share = corners(points, (height, width))
    index = index + torch.arange(rows, device=index.device).view(-1, 1, 1) * (height * width)
    table = masks.flatten(2).transpose(1, 2).reshape(-1, queries)
    samples = F.embedding_bag(
        index.flatten(0, 1), table, mode='sum', per_sample_weights=share.flatten(0, 1)
    )
    return samples.view(rows, -1, queries).transpose(1, 2)


def sample_classes(labels: Tensor, image: Tensor, points: Tensor, num_classes: int) -> Tensor:
    """Samples the binary mask of every class, which is never made.

    Args:
        labels: (B, H, W) class ids; others than 0..K-1 belong to no mask.
        image: (R,) image of each row.
        points: (R, P, 2).
        num_classes: K.

    Returns:
        (R, K, P), 0..1, soft at borders.
    """
    index, share = corners(points, labels.shape[-2:])
    ids = _gather(labels, image, index)
    ids = torch.where((ids >= 0) & (ids < num_classes), ids, num_classes)
    rows, number, _ = share.shape
    target = share.new_zeros(rows, num_classes + 1, number)
    target.scatter_add_(1, ids.transpose(1, 2), share.transpose(1, 2))
    return target[:, :num_classes]


def sample_class(labels: Tensor, image: Tensor, wanted: Tensor, points: Tensor) -> Tensor:
    """Samples the binary mask of one class in each row.

    Args:
        labels: (B, H, W) class ids.
        image: (R,) image of each row.
        wanted: (R,) its class.
        points: (R, P, 2).

    Returns:
        (R, P), 0..1.
    """
    index, share = corners(points, labels.shape[-2:])
    return (share * (_gather(labels, image, index) == wanted[:, None, None])).sum(-1)


def _gather(labels: Tensor, image: Tensor, index: Tensor) -> Tensor:
    return labels.flatten()[index + image[:, None, None] * labels[0].numel()].long()
