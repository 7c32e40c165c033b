"""The attention pool behind CLIP's ResNet, with every place of the map as a query.

B batch, C channels of the last map, D width of the space shared with text, h x w grid, S x S stored
grid of positions.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.encoders.resampling import resize_grid


class AttentionPool(nn.Module):
    """Attends from the mean of a map, and from each place of it, to all of them.

    The query of the mean gives the image's embedding, all that OpenAI's model computes. With the
    other places as further queries it stays the same, since queries do not see each other.

    Args:
        channels: C.
        dims: D.
        num_heads: Of the attention.
        grid: Sides of the stored grid of positions.

    Shapes:
        (B, C, h, w) -> global (B, D), dense (B, D, h, w).

    Source: Radford et al., ICML 2021, Sec. 2.4; the dense form is of DenseCLIP (Rao et al., CVPR
    2022). Differs from them: none.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.clip.attention_pool import AttentionPool
        >>> pool = AttentionPool(16, dims=8, num_heads=2, grid=(7, 7))
        >>> [tuple(x.shape) for x in pool(torch.zeros(2, 16, 2, 3))]
        [(2, 8), (2, 8, 2, 3)]
    """

    def __init__(self, channels: int, *, dims: int, num_heads: int, grid: Sequence[int]) -> None:
        super().__init__()
        self.dims, self.num_heads, self.grid = dims, num_heads, (grid[0], grid[1])
        rows = 1 + self.grid[0] * self.grid[1]  # the first belongs to the mean
        self.positional_embedding = nn.Parameter(torch.empty(rows, channels))
        self.q_proj = nn.Linear(channels, channels)
        self.k_proj = nn.Linear(channels, channels)
        self.v_proj = nn.Linear(channels, channels)
        self.c_proj = nn.Linear(channels, dims)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the positions; the linear layers draw their own."""
        width = self.positional_embedding.shape[1]
        nn.init.normal_(self.positional_embedding, std=width**-0.5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the global and the dense embedding of a map."""
        grid = x.shape[-2:]
        tokens = x.flatten(2).transpose(1, 2)
        tokens = torch.cat((tokens.mean(1, keepdim=True), tokens), dim=1)  # (B, 1+hw, C)
        tokens = tokens + self.positions(grid).to(tokens.dtype)
        q, k, v = (
            project(tokens).unflatten(2, (self.num_heads, -1)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        pooled = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        pooled = self.c_proj(pooled)  # (B, 1+hw, D)
        return pooled[:, 0], pooled[:, 1:].transpose(1, 2).unflatten(2, grid)

    def positions(self, grid: Sequence[int]) -> Tensor:
        """Returns the (1+hw, C) positions of an (h, w) grid, resized bilinearly."""
        table = self.positional_embedding
        if tuple(grid) == self.grid:
            return table
        places = table[1:].unflatten(0, self.grid)[None]
        resized = resize_grid(places, mode='bilinear', size=tuple(grid))
        return torch.cat((table[:1], resized[0].flatten(0, 1).to(table.dtype)))
