"""SAM's attention: in windows or global, with relative positions along each axis.

B batch (rows), H x W grid, n heads, d channels of one head, C = n d channels, w window side, nW
windows of an image, N tokens of a window, P prompts.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from rein_seg.encoders.map_attention import MapAttention
from rein_seg.environment import quiet_imports
from rein_seg.fast.dispatch import has_fast_form
from rein_seg.structures import RunState

with quiet_imports():
    from mmpretrain.models.backbones.vit_sam import (
        Attention,
        window_partition,
        window_unpartition,
    )


class WindowAttention(MapAttention):
    """mmpretrain's `Attention` on the same parameters, with its windows inside.

    The module maps a map to a map, so its branch has the same layout in every block. Its ``qkv``
    and ``proj`` see windows, padding included, as (B nW, w, w, C).

    Args:
        base: Module whose ``qkv``, ``proj``, ``rel_pos_h`` and ``rel_pos_w`` are used.
        window_size: w in tokens; 0 is global attention.
        state: State of the encoder, with the number of prompts below the map.

    Shapes:
        (B, H, W, C) -> (B, H, W, C). Windows are padded with zeros at the right and at the bottom;
        padded keys are not masked. Prompts have no positions; see `MapAttention`.

    Source: Kirillov et al., ICCV 2023 (ViTDet's encoder); positions: Li et al., CVPR 2022 (MViTv2).
    """

    def __init__(self, base: Attention, window_size: int, state: RunState) -> None:
        super().__init__(base.qkv, base.proj, base.num_heads, state)
        self.window_size = window_size
        self.rel_pos_h, self.rel_pos_w = base.rel_pos_h, base.rel_pos_w

    def mix(self, x: Tensor, prompts: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Returns the result for a map, and for (B, P, C) prompts."""
        if not self.window_size:
            return self.attend(x, prompts)
        windows, padded = window_partition(x, self.window_size)
        y, prompts = self.attend(windows, prompts)
        return window_unpartition(y, self.window_size, padded, x.shape[1:3]), prompts

    def attend(self, x: Tensor, prompts: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Returns the attention within each row of (B nW, H, W, C), and for the prompts."""
        grid, count = x.shape[1:3], 0 if prompts is None else prompts.shape[1]
        q, k, v = self.project(x, prompts)
        rows, columns = (
            by_distance(table, size).to(q.dtype)
            for table, size in zip((self.rel_pos_h, self.rel_pos_w), grid, strict=True)
        )
        return self.join(attend_with_positions(q, k, v, rows, columns, count), grid, prompts)


@has_fast_form('appended_positions')
def attend_with_positions(
    q: Tensor, k: Tensor, v: Tensor, rows: Tensor, columns: Tensor, num_prompts: int = 0
) -> Tensor:
    """Computes softmax(q k' / sqrt d + R) v with R[i, j] = q_i . h[y_i, y_j] + q_i . w[x_i, x_j].

    Args:
        q: (B, n, P+HW, d) queries; their products with positions are not scaled.
        k: (B, n, P+HW, d) keys.
        v: (B, n, P+HW, d) values.
        rows: h, (H, H, d) vectors of the row of a query and the row of a key.
        columns: w, (W, W, d), the same for columns.
        num_prompts: P tokens in front of the HW, without positions.

    Returns:
        (B, n, P+HW, d).
    """
    on_grid = q[:, :, num_prompts:].unflatten(2, (len(rows), len(columns)))  # (B, n, H, W, d)
    by_row = torch.einsum('bnhwd,hkd->bnhwk', on_grid, rows)
    by_column = torch.einsum('bnhwd,wkd->bnhwk', on_grid, columns)
    bias = by_row[..., :, None] + by_column[..., None, :]  # (B, n, H, W, H, W)
    bias = F.pad(bias.flatten(4).flatten(2, 3), (num_prompts, 0, num_prompts, 0))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))


def by_distance(table: Tensor, size: int) -> Tensor:
    """Returns the (S, S, d) vectors of query i and key j along an axis of S: row i - j + S - 1.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.sam.attention import by_distance
        >>> by_distance(torch.tensor([[-1.0], [0.0], [1.0]]), 2)[..., 0]  # distances -1, 0, 1
        tensor([[ 0., -1.],
                [ 1.,  0.]])
    """
    place = torch.arange(size, device=table.device)
    return resize_table(table, 2 * size - 1)[place[:, None] - place[None] + size - 1]


def resize_table(table: Tensor, rows: int) -> Tensor:
    """Resizes (L, d) vectors by distance to (rows, d), linearly, as SAM's code does.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.sam.attention import resize_table
        >>> resize_table(torch.tensor([[0.0], [1.0], [2.0]]), 5).flatten()
        tensor([0.0000, 0.4000, 1.0000, 1.6000, 2.0000])
    """
    if len(table) == rows:
        return table
    columns = table.to(torch.promote_types(table.dtype, torch.float32)).t()[None]
    return F.interpolate(columns, size=rows, mode='linear', align_corners=False)[0].t()
