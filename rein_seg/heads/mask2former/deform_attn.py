"""Multi-scale deformable attention.

B batch, N queries, D width, H heads, d = D / H, L levels, P points, S rows of all levels together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.fast.dispatch import has_fast_form

Sizes = Sequence[tuple[int, int]]


class DeformAttention(nn.Module):
    """Each query looks at a few points around its place in every level.

    Args:
        embed_dims: D.
        num_heads: H.
        num_levels: L.
        num_points: P.

    Shapes:
        query, position (B, N, D), memory (B, S, D), reference (N, 2) -> (B, N, D), residual not
        added. ``reference`` is (x, y) in 0..1.

    Source: Zhu et al., "Deformable DETR" (ICLR 2021), Eq. 3. Parameter names are mmcv's.

    Example:
        >>> import torch
        >>> from rein_seg.heads.mask2former.deform_attn import DeformAttention
        >>> x = torch.randn(1, 6 + 24, 16)  # two levels, 2 x 3 and 4 x 6, in rows
        >>> attention = DeformAttention(16, num_heads=4, num_levels=2)
        >>> attention(x, torch.zeros_like(x), x, torch.rand(30, 2), [(2, 3), (4, 6)]).shape
        torch.Size([1, 30, 16])
    """

    def __init__(
        self, embed_dims: int, num_heads: int, *, num_levels: int = 3, num_points: int = 4
    ) -> None:
        super().__init__()
        self.num_heads, self.num_levels, self.num_points = num_heads, num_levels, num_points
        samples = num_heads * num_levels * num_points
        self.sampling_offsets = nn.Linear(embed_dims, samples * 2)
        self.attention_weights = nn.Linear(embed_dims, samples)
        self.value_proj = nn.Linear(embed_dims, embed_dims)
        self.output_proj = nn.Linear(embed_dims, embed_dims)
        self.init_weights()

    def init_weights(self) -> None:
        """Puts point p of head h at p + 1 steps in the head's own direction."""
        angles = torch.arange(self.num_heads) * (2 * math.pi / self.num_heads)
        star = torch.stack((angles.cos(), angles.sin()), dim=-1)
        star = star / star.abs().max(-1, keepdim=True).values
        steps = torch.arange(1, self.num_points + 1)[:, None]
        bias = (star[:, None, None] * steps).expand(-1, self.num_levels, -1, -1)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(bias.flatten())
        nn.init.zeros_(self.sampling_offsets.weight)
        nn.init.zeros_(self.attention_weights.weight)
        nn.init.zeros_(self.attention_weights.bias)
        for linear in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(
        self, query: Tensor, position: Tensor, memory: Tensor, reference: Tensor, sizes: Sizes
    ) -> Tensor:
        """Returns (B, N, D)."""
        batch, number, width = query.shape
        query = query + position
        shape = (batch, number, self.num_heads, self.num_levels, self.num_points)
        value = self.value_proj(memory).unflatten(-1, (self.num_heads, -1))
        offsets = self.sampling_offsets(query).view(*shape, 2)
        weights = self.attention_weights(query).view(*shape[:3], -1)
        # places and sums of many small terms: float32 also where matrix products are bfloat16
        with torch.autocast(query.device.type, enabled=False):
            sampled = self.sample(
                value.float(),
                offsets.float(),
                softmax(weights.float()).view(shape),
                reference.float(),
                sizes,
            )
        return self.output_proj(sampled.to(value.dtype).view(batch, number, width))

    @staticmethod
    def sample(*arguments: Any) -> Tensor:
        """Computes `deform_sample`."""
        return deform_sample(*arguments)


@has_fast_form('short_softmax')
def softmax(x: Tensor) -> Tensor:
    """Computes the softmax over the last axis."""
    return x.softmax(-1)


@has_fast_form('compiled_sampling', 'gathered_sampling', 'recomputed_sampling')
def deform_sample(
    value: Tensor, offsets: Tensor, weights: Tensor, reference: Tensor, sizes: Sizes
) -> Tensor:
    """Computes the weighted sum of bilinear samples of all levels, zero outside the map.

    Args:
        value: (B, S, H, d) rows of the levels, one after the other.
        offsets: (B, N, H, L, P, 2) (x, y) in pixels of the level.
        weights: (B, N, H, L, P).
        reference: (N, 2) (x, y) of each query, 0..1.
        sizes: (height, width) of each level.

    Returns:
        (B, N, H, d).
    """
    batch, _, heads, width = value.shape
    out = value.new_zeros(batch, offsets.shape[1], heads, width)
    rows = value.split([h * w for h, w in sizes], dim=1)
    for level, (height, breadth) in enumerate(sizes):
        plane = rows[level].permute(0, 2, 3, 1).reshape(batch * heads, width, height, breadth)
        # sizes as numbers: a tensor of them would be copied to a GPU
        x = reference[:, None, None, 0] + offsets[:, :, :, level, :, 0] / breadth
        y = reference[:, None, None, 1] + offsets[:, :, :, level, :, 1] / height
        place = torch.stack((x, y), dim=-1) * 2 - 1  # (B, N, H, P, 2)
        samples = F.grid_sample(plane, place.transpose(1, 2).flatten(0, 1), align_corners=False)
        samples = samples.unflatten(0, (batch, heads))  # (B, H, d, N, P)
        out = out + torch.einsum('bhdnp,bnhp->bnhd', samples, weights[:, :, :, level])
    return out
