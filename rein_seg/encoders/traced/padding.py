"""Padding of convolutions that pad by the size of their input, as TensorFlow's "SAME" does.

B batch, C channels, H x W map.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn


def same_amounts(conv: nn.Module, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Returns the padding left, right, above and below a map of ``size``; the end has the rest.

    Example:
        >>> from torch import nn
        >>> from rein_seg.encoders.traced.padding import same_amounts
        >>> same_amounts(nn.Conv2d(8, 8, 3, stride=2), (8, 9))
        (1, 1, 0, 1)
    """
    found: list[int] = []
    shape: Any = zip(size, conv.kernel_size, conv.stride, conv.dilation, strict=True)  # type: ignore[arg-type]
    for side, kernel, stride, dilation in shape:
        amount = max((-(-side // stride) - 1) * stride + (kernel - 1) * dilation + 1 - side, 0)
        found = [amount // 2, amount - amount // 2, *found]
    return (found[0], found[1], found[2], found[3])


def pad_same(conv: nn.Module, x: Tensor) -> Tensor:
    """Returns (B, C, H, W) with the padding of `same_amounts`, zeros.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from rein_seg.encoders.traced.padding import pad_same
        >>> conv = nn.Conv2d(1, 1, 3, stride=2)
        >>> conv(pad_same(conv, torch.zeros(1, 1, 8, 9))).shape
        torch.Size([1, 1, 4, 5])
    """
    return F.pad(x, same_amounts(conv, (x.shape[-2], x.shape[-1])))
