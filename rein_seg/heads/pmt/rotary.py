"""Rotary positions of patches, as in DINOv3.

B batch, h heads, d channels of one head, T tokens, H x W grid of N patches.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

THETA = 100.0
Table = tuple[Tensor, Tensor]  # cosine and sine, (N, d) each


def rotary_table(
    grid: tuple[int, int],
    dims: int,
    *,
    scale: Tensor | float = 1.0,
    device: torch.device | None = None,
) -> Table:
    """Returns the cosine and sine (N, d) of the angles of patches, row by row.

    The centres of the patches lie in [-1, 1] along each side. The angles of a patch at (y, x) are
    2 pi y f_k for d / 4 frequencies f_k = 100^(-4k/d), then 2 pi x f_k, and the same once more.

    Args:
        grid: (H, W).
        dims: d, a multiple of 4.
        scale: Factor of the coordinates.
        device: Of the result.

    Example:
        >>> from rein_seg.heads.pmt.rotary import rotary_table
        >>> cos, sin = rotary_table((1, 2), 4)
        >>> cos[0].round(decimals=3).tolist()  # the row of one patch is in the middle: y = 0
        [1.0, -1.0, 1.0, -1.0]
    """
    axes = [
        ((torch.arange(side, device=device, dtype=torch.float32) + 0.5) / side * 2 - 1) * scale
        for side in grid
    ]
    centres = torch.stack(torch.meshgrid(*axes, indexing='ij'), dim=-1).flatten(0, 1)  # (N, 2)
    steps = torch.arange(dims // 4, device=device, dtype=torch.float32)
    frequencies = THETA ** (-4 * steps / dims)
    angles = (2 * math.pi * centres[..., None] * frequencies).flatten(1).tile(2)  # (N, d)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, table: Table) -> Tensor:
    """Rotates the last N of T tokens by the angles of their places.

    Args:
        x: (B, h, T, d).
        table: Cosine and sine, (N, d) each.

    Example:
        >>> import torch
        >>> from rein_seg.heads.pmt.rotary import rotate
        >>> x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])[None, None]  # one query, one patch
        >>> rotate(x, (torch.zeros(1, 2), torch.ones(1, 2)))[0, 0]  # a quarter of a turn
        tensor([[ 1.,  2.],
                [-4.,  3.]])
    """
    cosine, sine = table
    others, patches = x.split([x.shape[2] - len(cosine), len(cosine)], dim=2)
    a, b = patches.chunk(2, dim=-1)
    turned = patches * cosine + torch.cat((-b, a), dim=-1) * sine
    return torch.cat((others, turned.to(x.dtype)), dim=2)


class ScaleDraws:
    """Random factors of the coordinates, one a forward pass in training."""

    def factor(self, largest: float, device: torch.device) -> Tensor:
        """Returns a scalar, log-uniform from 1 / ``largest`` to ``largest``.

        Args:
            largest: At least 1.
            device: Of the result.
        """
        exponent = 2 * torch.rand((), device=device) - 1
        return (exponent * math.log(largest)).exp()
