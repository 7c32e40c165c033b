"""Padding of images whose sides the encoder does not take.

B batch, C channels, H x W image.
"""

from __future__ import annotations

import torch
from torch import Tensor


def pad_reflecting(image: Tensor, divisor: int) -> Tensor:
    """Pads an image on the right and below to multiples of a divisor, with its mirrored pixels.

    A side too short to be mirrored once is mirrored again and again; a single pixel is repeated.

    Args:
        image: (B, C, H, W).
        divisor: In pixels.

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
        missing = -side % divisor
        if missing:
            # 0 1 2 3 2 1 0 1 ...: a period of 2 (side - 1)
            place = torch.arange(side + missing, device=image.device) % max(2 * (side - 1), 1)
            image = image.index_select(dim, torch.minimum(place, 2 * (side - 1) - place))
    return image
