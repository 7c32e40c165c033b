"""Bilinear sampling of a map at any positions, with its true gradient at pixel centres too.

B batch, N positions, D channels, H x W map. Positions are (y, x) in steps of pixels: index k is
the centre of pixel k.
"""

from __future__ import annotations

import torch
from torch import Tensor


def sample(features: Tensor, positions: Tensor) -> Tensor:
    """Samples a map bilinearly; outside it is 0.

    Positions can lie on pixel centres, where the gradient has two sides: an explicit floor takes
    the side of the larger index. Scaling to -1..1 and back, as `torch.nn.functional.grid_sample`
    needs it, would move some of them to the other side.

    Args:
        features: (B, D, H, W).
        positions: (B, N, 2).

    Returns:
        (B, N, D).

    Example:
        >>> import torch
        >>> from rein_seg.necks.cat.sampling import sample
        >>> row = torch.tensor([[[[1.0, 3.0]]]])
        >>> sample(row, torch.tensor([[[0.0, 0.0], [0.0, 0.5], [0.0, 1.5]]])).flatten()
        tensor([1.0000, 2.0000, 1.5000])
    """
    low = positions.detach().floor()
    share = positions - low
    return _blend(features, (low, low + 1), (1 - share, share))


def sample_officially(features: Tensor, positions: Tensor) -> Tensor:
    """As `sample`, with the gradients that the kernels of PS-ViT return.

    Their backward pass goes on as if the border pixels were repeated for one more pixel outside
    the map, where their forward pass has 0. The gradient of the map takes the weights of the
    position moved onto the border, the gradient of the position the weights of its own place.
    """
    border = torch.tensor(features.shape[-2:]).to(positions) - 1
    low = positions.detach().floor().clamp(min=0).minimum(border)
    corners = low, (low + 1).minimum(border)
    share = positions.detach().clamp(min=0).minimum(border) - low
    of_map = _blend(features, corners, (1 - share, share))
    of_position = _blend(features.detach(), corners, (corners[1] - positions, positions - low))
    near = ((positions >= -1) & (positions <= border + 1)).all(-1, keepdim=True)
    repeated = (of_map + of_position) * near
    return sample(features, positions).detach() + (repeated - repeated.detach())


def _blend(features: Tensor, corners: tuple[Tensor, Tensor], weights: tuple[Tensor, ...]) -> Tensor:
    """Returns the weighted sum of the pixels at four corners.

    Args:
        features: (B, D, H, W).
        corners: (B, N, 2) whole positions, the smaller and the larger.
        weights: (B, N, 2) of each.
    """
    total = torch.zeros((), dtype=features.dtype, device=features.device)
    for row, weight_y in zip(corners, weights, strict=True):
        for column, weight_x in zip(corners, weights, strict=True):
            weight = weight_y[..., :1] * weight_x[..., 1:]
            total = total + weight * _pixels(features, row[..., 0], column[..., 1])
    return total


def _pixels(features: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Returns the (B, N, D) pixels at whole (B, N) positions, 0 outside the map."""
    height, width = features.shape[-2:]
    rows, columns = y.clamp(0, height - 1), x.clamp(0, width - 1)
    # positions of a diverged model are NaN, and so are the weights: the result stays NaN
    index = (rows * width + columns).nan_to_num().long()
    index = index[:, None].expand(-1, features.shape[1], -1)
    pixels = features.flatten(2).gather(2, index).transpose(1, 2)
    return pixels * ((rows == y) & (columns == x))[..., None]


def lattice(
    grid: tuple[int, int], size: tuple[int, int], *, official: bool = False, like: Tensor
) -> Tensor:
    """Returns the (N, 2) positions of the centres of n_h x n_w equal parts of a map.

    Args:
        grid: (n_h, n_w).
        size: (H, W) of the map.
        official: PS-ViT's own: half a pixel further down and right, columns before rows.
        like: For the device, and the type: at least float32, where a step of a pixel counts.

    Example:
        >>> import torch
        >>> from rein_seg.necks.cat.sampling import lattice
        >>> lattice((1, 2), (3, 4), like=torch.zeros(1)).tolist()
        [[1.0, 0.5], [1.0, 2.5]]
        >>> lattice((2, 2), (4, 4), official=True, like=torch.zeros(1)).tolist()
        [[1.0, 1.0], [3.0, 1.0], [1.0, 3.0], [3.0, 3.0]]
    """
    dtype = torch.promote_types(like.dtype, torch.float32)
    y, x = (
        (torch.arange(n, dtype=dtype, device=like.device) + 0.5) * side / n
        for n, side in zip(grid, size, strict=True)
    )
    if not official:
        y, x = y - 0.5, x - 0.5
    points = torch.stack(torch.meshgrid(y, x, indexing='ij'), dim=-1)  # (n_h, n_w, 2)
    return (points.transpose(0, 1) if official else points).flatten(0, 1)
