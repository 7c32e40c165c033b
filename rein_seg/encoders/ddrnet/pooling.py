"""DAPPM: a pyramid of pooled maps, each added to the next.

B batch, C channels, H x W map.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.encoders.ddrnet.blocks import Norm, conv, norms

_POOLS = ((5, 2), (9, 4), (17, 8))  # kernel, stride


class DAPPM(nn.Module):
    """Computes y_0 = u x; y_i = v_i(up(u_i pool_i x) + y_{i-1}); and w [y_0 ... y_4] + s x.

    Each of u, v, w, s is norm -> ReLU -> convolution; v is 3x3, the others 1x1. The pools average
    5x5, 9x9 and 17x17 pixels, with the zeros around the map counted, and the whole map.

    Args:
        inputs: C of the input.
        width: C of y.
        outputs: C of the output.
        norm: Makes a norm; None takes batch norms.

    Shapes:
        (B, inputs, H, W) -> (B, outputs, H, W), from 1x1 pixels on.

    Source: Hong, Pan et al., arXiv 2101.06085, Sec. III-C. Differs from it: none.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.ddrnet import DAPPM
        >>> DAPPM(16, 8, 24).eval()(torch.zeros(1, 16, 2, 3)).shape
        torch.Size([1, 24, 2, 3])
    """

    def __init__(self, inputs: int, width: int, outputs: int, norm: Norm | None = None) -> None:
        super().__init__()
        norm = norm or norms(dict(type='BN'))
        self.scale0 = nn.Sequential(*_unit(inputs, width, 1, norm))
        for index, (kernel, stride) in enumerate(_POOLS, start=1):
            pool = nn.AvgPool2d(kernel, stride, kernel // 2)
            setattr(self, f'scale{index}', nn.Sequential(pool, *_unit(inputs, width, 1, norm)))
        pool = nn.AdaptiveAvgPool2d(1)
        self.scale4 = nn.Sequential(pool, *_unit(inputs, width, 1, norm))
        for index in range(1, 5):
            setattr(self, f'process{index}', nn.Sequential(*_unit(width, width, 3, norm)))
        self.compression = nn.Sequential(*_unit(5 * width, outputs, 1, norm))
        self.shortcut = nn.Sequential(*_unit(inputs, outputs, 1, norm))

    def forward(self, x: Tensor) -> Tensor:
        """Computes the sum of the pyramid and the shortcut."""
        maps = [self.scale0(x)]
        for index in range(1, 5):
            pooled = getattr(self, f'scale{index}')(x)
            added = resize_to(pooled, x.shape[-2:]) + maps[-1]
            maps.append(getattr(self, f'process{index}')(added))
        return self.compression(torch.cat(maps, dim=1)) + self.shortcut(x)


def _unit(inputs: int, outputs: int, side: int, norm: Norm) -> list[nn.Module]:
    return [norm(inputs), nn.ReLU(inplace=True), conv(inputs, outputs, side)]


def resize_to(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Returns a (B, C, H, W) map in another size, bilinearly."""
    return F.interpolate(x, size=tuple(size), mode='bilinear', align_corners=False)
