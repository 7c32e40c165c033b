"""Multi-scale deformable attention in plain PyTorch.

B batch, N queries, D width, H heads, d = D / H, L levels, P points, S rows of all levels together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from rein_seg.fast.deform_gather import WeightedGather

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
        """Starts with point p of head h at p + 1 steps in the head's own direction."""
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
            sampled = deform_sample(
                value.float(),
                offsets.float(),
                short_softmax(weights.float()).view(shape),
                reference.float(),
                sizes,
            )
        return self.output_proj(sampled.to(value.dtype).view(batch, number, width))


def short_softmax(x: Tensor) -> Tensor:
    """Computes the softmax over the last axis.

    Over less than 16 values PyTorch's own is not vectorised on a CPU: 3 times as long with its
    backward pass, 5 times without.
    """
    if x.device.type != 'cpu' or x.shape[-1] >= 16:
        return x.softmax(-1)
    e = (x - x.detach().amax(-1, keepdim=True)).exp()
    return e / e.sum(-1, keepdim=True)


def deform_sample(
    value: Tensor, offsets: Tensor, weights: Tensor, reference: Tensor, sizes: Sizes
) -> Tensor:
    """Computes the weighted sum of bilinear samples, zero outside the map.

    Args:
        value: (B, S, H, d) rows of the levels, one after the other.
        offsets: (B, N, H, L, P, 2) (x, y) in pixels of the level.
        weights: (B, N, H, L, P).
        reference: (N, 2) (x, y) of each query, 0..1.
        sizes: (height, width) of each level.

    Returns:
        (B, N, H, d). All three ways below give the same: one weighted gather on a CPU (5 times
        faster than sampling level by level), level by level elsewhere, and mmcv's compiled op on a
        GPU where mmcv has one.
    """
    arguments = (value, offsets, weights, reference, sizes)
    if value.device.type == 'cpu':
        return sample_by_gather(*arguments)
    if value.is_cuda and compiled_op() is not None:
        return sample_compiled(*arguments)
    # its samples are twelve times the value: computed again in the backward pass, not kept
    return checkpoint(sample_by_grid, *arguments, use_reentrant=False)


def sample_by_grid(
    value: Tensor, offsets: Tensor, weights: Tensor, reference: Tensor, sizes: Sizes
) -> Tensor:
    """As `deform_sample`, by one `grid_sample` for each level."""
    batch, _, heads, width = value.shape
    out = value.new_zeros(batch, offsets.shape[1], heads, width)
    rows = value.split([h * w for h, w in sizes], dim=1)
    for level, (height, breadth) in enumerate(sizes):
        plane = rows[level].permute(0, 2, 3, 1).reshape(batch * heads, width, height, breadth)
        place = _locations(offsets[:, :, :, level], reference, (height, breadth)) * 2 - 1
        samples = F.grid_sample(plane, place.transpose(1, 2).flatten(0, 1), align_corners=False)
        samples = samples.unflatten(0, (batch, heads))  # (B, H, d, N, P)
        out = out + torch.einsum('bhdnp,bnhp->bnhd', samples, weights[:, :, :, level])
    return out


@torch.compiler.disable  # SciPy and sparse tensors: nothing to fuse, and much to trace
def sample_by_gather(
    value: Tensor, offsets: Tensor, weights: Tensor, reference: Tensor, sizes: Sizes
) -> Tensor:
    """As `deform_sample`, by one gather of the 4 L P corners of each query and head."""
    return WeightedGather.apply(value, offsets, weights, reference, tuple(sizes))


@lru_cache
def compiled_op() -> type | None:
    """Returns mmcv's compiled operation, or None where mmcv is pure Python, as we install it."""
    if find_spec('mmcv._ext') is None:
        return None
    try:
        from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction
    except ImportError as error:
        print_log(f'deformable attention in plain PyTorch: mmcv._ext is there, but {error}')
        return None
    return MultiScaleDeformableAttnFunction


def sample_compiled(
    value: Tensor, offsets: Tensor, weights: Tensor, reference: Tensor, sizes: Sizes
) -> Tensor:
    """As `deform_sample`, by mmcv's compiled operation."""
    shapes = torch.as_tensor(sizes, device=value.device)
    areas = shapes.prod(1)
    places = [
        _locations(offsets[:, :, :, level], reference, size) for level, size in enumerate(sizes)
    ]
    arguments = (shapes, areas.cumsum(0) - areas, torch.stack(places, dim=3), weights, 64)
    return compiled_op().apply(value.contiguous(), *arguments).view(*offsets.shape[:3], -1)


def _locations(offsets: Tensor, reference: Tensor, size: tuple[int, int]) -> Tensor:
    """Returns (B, N, H, P, 2) places of one level in 0..1; sizes as numbers, not copied over."""
    height, breadth = size
    x = reference[:, None, None, 0] + offsets[..., 0] / breadth
    y = reference[:, None, None, 1] + offsets[..., 1] / height
    return torch.stack((x, y), dim=-1)
