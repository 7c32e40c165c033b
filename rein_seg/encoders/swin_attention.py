"""Swin's attention within shifted windows, and its merging of patches, on (B, H, W, C) maps.

B batch, H x W grid, C channels, n heads, d channels of one head, w window side, N = w w tokens,
nW windows of an image, padding included.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.environment import quiet_imports

with quiet_imports():
    from mmpretrain.models.backbones.vit_sam import window_partition, window_unpartition
    from mmpretrain.models.utils import ShiftWindowMSA
    from mmpretrain.models.utils.embed import PatchMerging

# between regions that a shift brought together; official, and exact in every float type
_APART = -100.0


class ShiftedWindowAttention(nn.Module):
    """mmpretrain's `ShiftWindowMSA` on the same parameters, through one fused attention.

    ``qkv`` and ``proj`` see windows, padding included, as (B nW, w, w, C); what enters and leaves
    the module is the map.

    Args:
        base: Module whose parameters, window and shift are taken over.

    Shapes:
        (B, H, W, C) -> (B, H, W, C). Windows are padded with zeros at the right and at the bottom;
        padded keys are not masked.

    Source: Liu et al., ICCV 2021, Sec. 3.2, as its code for segmentation computes it: a map that is
    one window, or smaller, is padded and shifted too (its classifier shrinks window and shift).
    """

    def __init__(self, base: ShiftWindowMSA) -> None:
        super().__init__()
        self.window_size, self.shift_size = base.window_size, base.shift_size
        self.num_heads = base.w_msa.num_heads
        self.qkv, self.proj = base.w_msa.qkv, base.w_msa.proj
        self.relative_position_bias_table = base.w_msa.relative_position_bias_table
        index = relative_position_index(self.window_size)
        self.register_buffer('relative_position_index', index, persistent=False)

    def forward(self, x: Tensor, grid: tuple[int, int] | None = None) -> Tensor:
        """Returns the branch's result for a whole map, whose shape shows its grid."""
        (height, width), side, shift = x.shape[1:3], self.window_size, self.shift_size
        x = F.pad(x, (0, 0, 0, -width % side, 0, -height % side))
        if shift:
            x = x.roll((-shift, -shift), dims=(1, 2))
        windows, padded = window_partition(x, side)
        x = window_unpartition(self.attend(windows, padded), side, padded, padded)
        if shift:
            x = x.roll((shift, shift), dims=(1, 2))
        return x[:, :height, :width]

    def attend(self, windows: Tensor, padded: tuple[int, int]) -> Tensor:
        """Returns the attention within each of (B nW, w, w, C) windows of a padded (H, W) map."""
        qkv = self.qkv(windows).flatten(1, 2).unflatten(2, (3, self.num_heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each (B nW, n, N, d)
        bias = self.position_bias().to(q.dtype)[None]
        if not self.shift_size:
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        else:
            apart = shift_mask(padded, self.window_size, self.shift_size, device=q.device)
            bias = (bias + _APART * apart[:, None].to(q.dtype)).flatten(0, 1)
            # windows join the heads, so that one bias serves all images
            q, k, v = (t.unflatten(0, (-1, len(apart))).flatten(1, 2) for t in (q, k, v))
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias[None])
            y = y.unflatten(1, (len(apart), -1)).flatten(0, 1)
        return self.proj(y.transpose(1, 2).flatten(2).unflatten(1, windows.shape[1:3]))

    def position_bias(self) -> Tensor:
        """Returns the (n, N, N) bias of query i and key j."""
        return self.relative_position_bias_table.t()[:, self.relative_position_index]


class MapMerging(nn.Module):
    """mmpretrain's `PatchMerging` on the same parameters, for maps.

    Args:
        base: Module whose norm and reduction are taken over.

    Shapes:
        (B, H, W, C) -> (B, H/2, W/2, 2 C), halves rounded up: odd sides are padded with zeros. The
        norm and the reduction see 4 C channels in mmcv's order, (C, row, column).
    """

    def __init__(self, base: PatchMerging) -> None:
        super().__init__()
        self.norm, self.reduction = base.norm, base.reduction

    def forward(self, x: Tensor) -> Tensor:
        """Returns the map at half the resolution."""
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        x = x.unflatten(2, (-1, 2)).unflatten(1, (-1, 2))  # (B, H/2, row, W/2, column, C)
        return self.reduction(self.norm(x.permute(0, 1, 3, 5, 2, 4).flatten(3)))


def relative_position_index(side: int) -> Tensor:
    """Returns the (N, N) row of the bias table for query i and key j: their distance, row-major."""
    place = torch.arange(side)
    apart = place[:, None] - place[None] + side - 1  # along one axis
    index = apart[:, None, :, None] * (2 * side - 1) + apart[None, :, None]
    return index.flatten(2).flatten(0, 1)


def shift_mask(
    padded: tuple[int, int], side: int, shift: int, *, device: torch.device | None = None
) -> Tensor:
    """Returns (nW, N, N): whether query i and key j were apart before the shift.

    Args:
        padded: (H, W) of the padded map, multiples of ``side``.
        side: w.
        shift: Tokens that the map was rolled by, up and to the left, less than w.
        device: Where to make it.
    """
    rows, columns = (
        (place >= length - side).int() + (place >= length - shift)
        for length in padded
        for place in [torch.arange(length, device=device)]
    )
    regions, _ = window_partition((3 * rows[:, None] + columns)[None, ..., None], side)
    regions = regions.flatten(1)
    return regions[:, :, None] != regions[:, None]
