"""Padding of images whose sides the encoder does not take.

B batch, C channels, H x W image.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def padded_side(side: int, divisor: int, least: int = 1) -> int:
    """Returns the shortest side of at least ``side`` and ``least`` that ``divisor`` divides.

    Example:
        >>> from rein_seg.models.padding import padded_side
        >>> padded_side(17, 8), padded_side(2, 1, least=32)
        (24, 32)
    """
    return -(-max(side, least) // divisor) * divisor


def pad_reflecting(image: Tensor, divisor: int, least: int = 1) -> Tensor:
    """Pads an image on the right and below with its mirrored pixels; see `padded_side`.

    A side too short to be mirrored once is mirrored again and again; a single pixel is repeated.

    Args:
        image: (B, C, H, W).
        divisor: In pixels.
        least: In pixels.

    Example:
        >>> import torch
        >>> from rein_seg.models.padding import pad_reflecting
        >>> pad_reflecting(torch.tensor([[[[1, 2, 3]]]]), 5)[0, 0, 0]
        tensor([1, 2, 3, 2, 1])
        >>> pad_reflecting(torch.tensor([[[[7.0]]]]), 2)[0, 0]
        tensor([[7., 7.],
                [7., 7.]])
    """
    for dim in (-2, -1):
        side = image.shape[dim]
        target = padded_side(side, divisor, least)
        if target > side:
            # 0 1 2 3 2 1 0 1 ...: a period of 2 (side - 1)
            place = torch.arange(target, device=image.device) % max(2 * (side - 1), 1)
            image = image.index_select(dim, torch.minimum(place, 2 * (side - 1) - place))
    return image


def pad_with_mean(image: Tensor, divisor: int, least: int = 1) -> Tensor:
    """Pads a normalised image on the right and below with zeros, its mean; see `padded_side`."""
    height, width = (padded_side(side, divisor, least) - side for side in image.shape[-2:])
    return F.pad(image, (0, width, 0, height)) if height or width else image
