"""The targets of a patch: its colours in neutral light, and its edges.

B batch, N patches in rows, p patch side in pixels, T numbers a patch.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_ORIENTATIONS = 8
_CELL = 4  # pixels
_COARSE = 2
NUM_COLOURS = 3 * 4 * 4
NUM_EDGES = _ORIENTATIONS * 2 * 2
PATCH = 8


def patch_targets(images: Tensor) -> Tensor:
    """Returns (B, N, T) colours and edges, each with a mean of about 0 and a deviation of about 1.

    Args:
        images: (B, 3, H, W), RGB, 0..1, of patches of 8 x 8.

    Example:
        >>> import torch
        >>> from rein_seg.pretrain.targets import NUM_COLOURS, NUM_EDGES, patch_targets
        >>> patch_targets(torch.rand(2, 3, 16, 24)).shape, NUM_COLOURS + NUM_EDGES
        (torch.Size([2, 6, 80]), 80)
    """
    # about the mean and the deviation over neutral views
    colours = F.avg_pool2d((images - 0.40) / 0.18, _COARSE)
    edges = (edge_energies(images) - 0.27) / 0.15
    return torch.cat(
        (_by_patch(colours, PATCH // _COARSE), _by_patch(edges, PATCH // _CELL)), dim=2
    )


def edge_energies(images: Tensor) -> Tensor:
    """Returns (B, 8, H/4, W/4): strength of edges by direction in a cell, over its surroundings.

    Source: histograms of oriented gradients (Dalal and Triggs, CVPR 2005), predicted as in MaskFeat
    (Wei et al., CVPR 2022).
    """
    grey = images.mean(1, keepdim=True)
    padded = F.pad(grey, (1, 1, 1, 1), mode='replicate')
    across = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
    down = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
    strength = torch.sqrt(across**2 + down**2 + 1e-8)
    angles = torch.arange(_ORIENTATIONS, device=images.device) * (math.pi / _ORIENTATIONS)
    angles = angles.view(1, -1, 1, 1)
    # cos^8 of the angle between gradient and bin makes soft bins, unlike a histogram
    share = ((across * angles.cos() + down * angles.sin()) / strength) ** 8
    cells = F.avg_pool2d(share * strength, _CELL)
    around = F.avg_pool2d(cells.sum(1, keepdim=True) ** 2, 3, 1, 1, count_include_pad=False)
    return (cells / (around + 4e-4).sqrt()).clamp(max=2.0).sqrt()


def _by_patch(maps: Tensor, side: int) -> Tensor:
    """Gathers patches: (B, C, H side, W side) -> (B, H W, C side side)."""
    return F.unfold(maps, side, stride=side).transpose(1, 2)
