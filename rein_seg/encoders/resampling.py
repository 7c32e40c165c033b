"""Resizes patch kernels and grids of positions, by the rule of each publication.

C channels, p patch side, H x W grid of positions, P prefix tokens.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from rein_seg.errors import UserError


def resize_patch_kernel(weight: Tensor, size: tuple[int, int]) -> Tensor:
    """Resizes a (C, 3, p, p) patch kernel bicubically, as Rein's conversion does.

    Without antialias and without rescaling: from 14 to 16 the kernel's sum grows by (16/14)^2, and
    the published adapters were trained with that. FlexiViT's pseudo-inverse would differ.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.resampling import resize_patch_kernel
        >>> kernel = resize_patch_kernel(torch.ones(768, 3, 14, 14), (16, 16))
        >>> kernel.shape, kernel[0, 0].sum().item()
        (torch.Size([768, 3, 16, 16]), 256.0)
    """
    if tuple(weight.shape[-2:]) == tuple(size):
        return weight
    # files can be in half precision; kernels are resized in float32
    return F.interpolate(weight.float(), size=size, mode='bicubic', align_corners=False)


def shrink_patch_kernel(weight: Tensor, size: tuple[int, int]) -> Tensor:
    """Returns the (C, 3, p, p) kernel that, resized, comes nearest to ``weight``.

    The least-squares inverse of enlarging with `resize_patch_kernel`. For a kernel that was
    enlarged, and then scaled channel by channel, it is exact but for rounding.

    Args:
        weight: (C, 3, q, q), q >= p.
        size: (p, p).

    Example:
        >>> import torch
        >>> from rein_seg.encoders.resampling import resize_patch_kernel, shrink_patch_kernel
        >>> kernel = torch.randn(4, 3, 14, 14)
        >>> back = shrink_patch_kernel(resize_patch_kernel(kernel, (16, 16)), (14, 14))
        >>> torch.allclose(back, kernel, atol=1e-5)
        True
    """
    rows, columns = (
        torch.linalg.pinv(_enlarging(small, large))
        for small, large in zip(size, weight.shape[-2:], strict=True)
    )
    return (rows @ weight.double() @ columns.mT).to(weight.dtype)  # (p, q) (q, q) (q, p)


def _enlarging(small: int, large: int) -> Tensor:
    """Returns the (large, small) matrix that resizes one axis bicubically, float64."""
    eye = torch.eye(small, dtype=torch.float64)[None, None]
    sizes = dict(size=(large, small), mode='bicubic', align_corners=False)
    return F.interpolate(eye, **sizes)[0, 0]


def resize_positions(
    positions: Tensor,
    grid: tuple[int, int],
    *,
    num_prefix: int = 1,
    mode: str = 'bicubic',
    antialias: bool = False,
    align_corners: bool = False,
    same_grid: bool = False,
) -> Tensor:
    """Resizes (1, P+N, C) positions of a square grid to (1, P+HW, C), by size.

    Args:
        positions: Prefix rows first. N must be a square number, or H W.
        grid: (H, W) of the result.
        num_prefix: P; these rows stay as they are.
        mode: bicubic or bilinear.
        antialias: As in `torch.nn.functional.interpolate`.
        align_corners: As there.
        same_grid: Set for files that this encoder wrote: H W rows are taken as they are, even if
            they could be a square (2 x 8 and 4 x 4 have as many rows).

    Raises:
        UserError: If N is neither.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.resampling import resize_positions
        >>> resize_positions(torch.zeros(1, 1 + 37 * 37, 768), (32, 64)).shape
        torch.Size([1, 2049, 768])
    """
    prefix, patches = positions[:, :num_prefix], positions[:, num_prefix:]
    if same_grid and patches.shape[1] == grid[0] * grid[1]:
        return positions
    side = round(patches.shape[1] ** 0.5)  # published tables are square
    if side * side != patches.shape[1]:
        if patches.shape[1] == grid[0] * grid[1]:
            return positions
        raise UserError(
            f'positions of the weights file have {patches.shape[1]} patch rows: expected a square '
            'number; the file is of another kind of encoder'
        )
    if (side, side) == tuple(grid):
        return positions
    how = dict(mode=mode, antialias=antialias, align_corners=align_corners, size=grid)
    table = resize_grid(patches.reshape(1, side, side, -1), **how)
    return torch.cat((prefix.float(), table.flatten(1, 2)), dim=1)


def resize_grid(
    table: Tensor,
    *,
    mode: str,
    antialias: bool = False,
    align_corners: bool = False,
    **target: Any,
) -> Tensor:
    """Resizes (1, h, w, C) positions to (1, H, W, C), in float32.

    Args:
        table: The positions.
        mode: bicubic or bilinear.
        antialias: As in `torch.nn.functional.interpolate`.
        align_corners: As there.
        **target: ``size=(H, W)``, or ``scale_factor=``, which also shifts the sampled places.
    """
    channels_first = table.float().permute(0, 3, 1, 2)
    options = dict(mode=mode, align_corners=align_corners, antialias=antialias)
    return F.interpolate(channels_first, **options, **target).permute(0, 2, 3, 1)
