"""Bilinear samples of masks and label maps at points.

Points are (x, y) in 0..1; outside the map is zero. R rows (masks, each with its points), P points,
K classes, h x w mask, B images of H x W labels.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from rein_seg.fast.dispatch import has_fast_form


def sample(masks: Tensor, points: Tensor) -> Tensor:
    """Samples each of (R, h, w) masks at its own (R, P, 2) points; returns (R, P).

    Example:
        >>> import torch
        >>> from rein_seg.heads.mask2former.points import sample
        >>> mask = torch.tensor([[[0.0, 1.0], [2.0, 3.0]]])
        >>> sample(mask, torch.tensor([[[0.5, 0.5], [0.75, 0.25]]]))
        tensor([[1.5000, 1.0000]])
    """
    grid = points[:, :, None].mul(2).sub_(1)
    return F.grid_sample(masks[:, None], grid, align_corners=False)[:, 0, :, 0]


@has_fast_form('label_points')
def sample_class(labels: Tensor, image: Tensor, wanted: Tensor, points: Tensor) -> Tensor:
    """Samples the binary mask of one class in each row.

    Args:
        labels: (B, H, W) class ids.
        image: (R,) image of each row.
        wanted: (R,) its class.
        points: (R, P, 2).

    Returns:
        (R, P), 0..1, soft at borders.
    """
    return sample((labels[image] == wanted[:, None, None]).to(points.dtype), points)


@has_fast_form('label_points')
def sample_valid(labels: Tensor, image: Tensor, points: Tensor, num_classes: int) -> Tensor:
    """Tells which points get a share of pixels of the classes 0..K-1 alone.

    Args:
        labels: (B, H, W) class ids.
        image: (R,) image of each row.
        points: (R, P, 2).
        num_classes: K.

    Returns:
        (R, P), 1 or 0.
    """
    ignored = (~is_class(labels, num_classes)).to(points.dtype)
    return (sample(ignored[image], points) == 0).to(points.dtype)


def is_class(labels: Tensor, num_classes: int) -> Tensor:
    """Tells which ids are 0..K-1.

    Example:
        >>> import torch
        >>> from rein_seg.heads.mask2former.points import is_class
        >>> is_class(torch.tensor([0, 18, 19, 255]), 19).tolist()
        [True, True, False, False]
    """
    return (labels >= 0) & (labels < num_classes)
