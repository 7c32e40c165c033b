"""Swin's attention within shifted windows, and its merging of patches, on (B, H, W, C) maps.

B batch, H x W grid, C channels, n heads, d channels of one head, w window side, N = w w tokens,
nW windows of an image, padding included, P prompts.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.encoders.map_attention import MapAttention
from rein_seg.environment import quiet_imports
from rein_seg.structures import RunState

with quiet_imports():
    from mmpretrain.models.backbones.vit_sam import window_partition, window_unpartition
    from mmpretrain.models.utils import ShiftWindowMSA
    from mmpretrain.models.utils.embed import PatchMerging

# added to scores between regions that the shift brought together: the official value, exact in
# every float type
_APART = -100.0


class ShiftedWindowAttention(MapAttention):
    """mmpretrain's `ShiftWindowMSA` on the same parameters, through one fused attention.

    The module maps a map to a map. Its ``qkv`` and ``proj`` see windows, padding included, as
    (B nW, w, w, C).

    Args:
        base: Module whose parameters, window and shift are used.
        state: State of the encoder, with the number of prompts below the map.

    Shapes:
        (B, H, W, C) -> (B, H, W, C). Windows are padded with zeros at the right and at the bottom;
        padded keys are not masked. Prompts have neither bias nor mask; see `MapAttention`.

    Source: Liu et al., ICCV 2021, Sec. 3.2, as its code for segmentation computes it: a map that is
    one window, or smaller, is padded and shifted too (its classifier shrinks window and shift).
    Prompts: Jia et al., ECCV 2022. Differs from it: the windows of an image share its own prompts,
    whatever the batch.
    """

    def __init__(self, base: ShiftWindowMSA, state: RunState) -> None:
        super().__init__(base.w_msa.qkv, base.w_msa.proj, base.w_msa.num_heads, state)
        self.window_size, self.shift_size = base.window_size, base.shift_size
        self.relative_position_bias_table = base.w_msa.relative_position_bias_table
        index = relative_position_index(self.window_size)
        self.register_buffer('relative_position_index', index, persistent=False)

    def mix(self, x: Tensor, prompts: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Returns the result for a map, and for (B, P, C) prompts."""
        (height, width), side, shift = x.shape[1:3], self.window_size, self.shift_size
        x = F.pad(x, (0, 0, 0, -width % side, 0, -height % side))
        if shift:
            x = x.roll((-shift, -shift), dims=(1, 2))
        windows, padded = window_partition(x, side)
        y, prompts = self.attend(windows, padded, prompts)
        x = window_unpartition(y, side, padded, padded)
        if shift:
            x = x.roll((shift, shift), dims=(1, 2))
        return x[:, :height, :width], prompts

    def attend(
        self, windows: Tensor, padded: tuple[int, int], prompts: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Returns the attention within (B nW, w, w, C) windows of a padded (H, W) map.

        The second result is for the (B, P, C) prompts.
        """
        count = 0 if prompts is None else prompts.shape[1]
        y = self._weigh(self.project(windows, prompts), padded, count)
        return self.join(y, windows.shape[1:3], prompts)

    def _weigh(self, parts: tuple[Tensor, ...], padded: tuple[int, int], count: int) -> Tensor:
        """Returns (B nW, n, P+N, d); the first ``count`` tokens have neither bias nor mask."""
        q, k, v = parts
        bias = self.position_bias().to(q.dtype)[None]
        bias = F.pad(bias, (count, 0, count, 0)) if count else bias
        if not self.shift_size:
            return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        apart = shift_mask(padded, self.window_size, self.shift_size, device=q.device)
        apart = F.pad(apart, (count, 0, count, 0)) if count else apart
        bias = (bias + _APART * apart[:, None].to(q.dtype)).flatten(0, 1)
        # windows are moved to the axis of heads, so that all images share one bias
        q, k, v = (t.unflatten(0, (-1, len(apart))).flatten(1, 2) for t in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias[None])
        return y.unflatten(1, (len(apart), -1)).flatten(0, 1)

    def position_bias(self) -> Tensor:
        """Returns the (n, N, N) bias of query i and key j."""
        return self.relative_position_bias_table.t()[:, self.relative_position_index]


class MapMerging(nn.Module):
    """mmpretrain's `PatchMerging` on the same parameters, for maps.

    Args:
        base: Module whose norm and reduction are used.

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
    """Returns the (N, N) row of the bias table for query i and key j: their distance, row-major.

    Example:
        >>> from rein_seg.encoders.swin.attention import relative_position_index
        >>> relative_position_index(2)  # tokens of a 2 x 2 window, 3 x 3 distances
        tensor([[4, 3, 1, 0],
                [5, 4, 2, 1],
                [7, 6, 4, 3],
                [8, 7, 5, 4]])
    """
    place = torch.arange(side)
    apart = place[:, None] - place[None] + side - 1  # along one axis
    index = apart[:, None, :, None] * (2 * side - 1) + apart[None, :, None]
    return index.flatten(2).flatten(0, 1)


def shift_mask(
    padded: tuple[int, int], side: int, shift: int, *, device: torch.device | None = None
) -> Tensor:
    """Returns (nW, N, N), true where query i and key j come from different regions of the map.

    Args:
        padded: (H, W) of the padded map, multiples of ``side``.
        side: w.
        shift: Tokens that the map was rolled by, up and to the left, less than w.
        device: Device of the result.
    """
    rows, columns = (
        (place >= length - side).int() + (place >= length - shift)
        for length in padded
        for place in [torch.arange(length, device=device)]
    )
    regions, _ = window_partition((3 * rows[:, None] + columns)[None, ..., None], side)
    regions = regions.flatten(1)
    return regions[:, :, None] != regions[:, None]
