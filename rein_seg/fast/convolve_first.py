"""A 1x1 convolution before the enlarging of its map.

The weights of a bilinear resize sum to one, so a 1x1 convolution commutes with it and may run on
the smaller map. Measured: 384 (1024) channels to 256, enlarged from 32 to 128 pixels a side,
forward and backward, in 0.40 (0.13) of the time.

B batch, C channels, H x W map, s scale.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from rein_seg.fast.channels_last import channels_last


def conv_gn(module: Any, x: Tensor, scale: float = 1) -> Tensor:
    """Computes GN(conv(resize(x, scale))) of a `ConvGN`, in the cheaper order.

    Shapes:
        (B, C_in, H, W) -> (B, C_out, s H, s W).
    """
    x = channels_last(x)
    if scale < 1:
        return module.gn(module.convolve(module.resize(x, scale)))
    return module.gn(module.resize(module.convolve(x), scale))
