"""Pieces with mmdet's parameter names: convolution + norm, attention, FFN, sine positions.

B batch, N queries, S memory rows, D width, H x W map.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.fast.dispatch import has_fast_form
from rein_seg.resize import resize_by

STRIDES = (4, 8, 16, 32)


class ConvGN(nn.Module):
    """A resize, a convolution and its group norm.

    Args:
        in_channels: Of the input.
        out_channels: Of the output.
        kernel: Side in pixels; padded to keep the size.
        groups: Of the norm.
        bias: Of the convolution.

    Example:
        >>> import torch
        >>> from rein_seg.heads.mask2former.layers import ConvGN
        >>> ConvGN(4, 8, groups=2, bias=True)(torch.randn(1, 4, 3, 5), scale=2).shape
        torch.Size([1, 8, 6, 10])
    """

    resize = staticmethod(resize_by)

    def __init__(
        self, in_channels: int, out_channels: int, *, kernel: int = 1, groups: int, bias: bool
    ) -> None:
        super().__init__()
        padding = kernel // 2
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, padding=padding, bias=bias)
        self.gn = nn.GroupNorm(groups, out_channels)
        nn.init.xavier_uniform_(self.conv.weight)
        if bias:
            nn.init.zeros_(self.conv.bias)

    @has_fast_form('convolve_first')
    def forward(self, x: Tensor, scale: float = 1) -> Tensor:
        """Computes GN(conv(resize(x, scale)))."""
        return self.gn(self.convolve(self.resize(x, scale)))

    @has_fast_form('winograd')
    def convolve(self, x: Tensor) -> Tensor:
        """Computes the convolution, (B, C, H, W) -> (B, O, H, W)."""
        return self.conv(x)


class Attention(nn.Module):
    """Multi-head attention with the parameters of `torch.nn.MultiheadAttention`, in ``attn``.

    Shapes:
        query (B, N, D), key and value (B, S, D), mask (B, 1, N, S) bool, True where a query may
        look -> (B, N, D).

    Example:
        >>> import torch
        >>> from rein_seg.heads.mask2former.layers import Attention
        >>> x = torch.randn(1, 3, 8)
        >>> mask = torch.tensor([[[[True, False, False]] * 3]])  # all look at the first row
        >>> y = Attention(8, num_heads=2)(x, x, x, mask)
        >>> torch.allclose(y[:, 0], y[:, 1])
        True
    """

    def __init__(self, embed_dims: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.attn = nn.MultiheadAttention(embed_dims, num_heads, batch_first=True)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        """Returns (B, N, D)."""
        # not self.attn(...): its mask would be (B H, N, S), a copy for each head
        weights = self.attn.in_proj_weight.chunk(3)
        biases = self.attn.in_proj_bias.chunk(3)
        q, k, v = (
            F.linear(x, w, b).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for x, w, b in zip((query, key, value), weights, biases, strict=True)
        )
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.attn.out_proj(out.transpose(1, 2).flatten(2))


class FFN(nn.Module):
    """Linear, ReLU, linear, without a residual sum."""

    def __init__(self, embed_dims: int, hidden: int) -> None:
        super().__init__()
        # not in place: the result of a linear is a view, which autograd would copy twice
        first = nn.Sequential(nn.Linear(embed_dims, hidden), nn.ReLU())
        self.layers = nn.Sequential(first, nn.Linear(hidden, embed_dims))

    def forward(self, x: Tensor) -> Tensor:
        """Returns the same shape."""
        return self.layers(x)


@has_fast_form('channels_last')
def resize_to(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resizes (B, C, H, W) bilinearly to (height, width)."""
    return F.interpolate(x, size=size, mode='bilinear', align_corners=False)


def sine_positions(height: int, width: int, channels: int, *, like: Tensor) -> Tensor:
    """Returns (H W, D) positions: D/2 channels for the row, then D/2 for the column.

    Places 1..H and 1..W are normalised to 0..2 pi; sines and cosines alternate.

    Source: Carion et al., "DETR" (ECCV 2020), App. A.4.

    Example:
        >>> import torch
        >>> from rein_seg.heads.mask2former.layers import sine_positions
        >>> table = sine_positions(2, 3, 8, like=torch.zeros(1)).view(2, 3, 8)
        >>> torch.equal(table[0, 0, :4], table[0, 2, :4])  # one row: half of the channels are equal
        True
    """
    half = channels // 2
    options = dict(device=like.device, dtype=torch.float32)
    # each frequency twice: for a sine and a cosine
    period = 10000 ** (2 * torch.arange(half, **options).div(2, rounding_mode='floor') / half)

    def axis(length: int) -> Tensor:
        places = torch.arange(1, length + 1, **options) / (length + 1e-6) * (2 * math.pi)
        angles = places[:, None] / period
        return torch.stack((angles[:, 0::2].sin(), angles[:, 1::2].cos()), dim=-1).flatten(1)

    rows, columns = axis(height), axis(width)
    table = torch.cat(
        (rows[:, None].expand(-1, width, -1), columns[None].expand(height, -1, -1)), dim=-1
    )
    return table.flatten(0, 1)


def pyramid_scales(strides: Sequence[int] | None, number: int) -> tuple[float, ...]:
    """Returns the factor of each map: to strides 4, 8, 16, 32 if four maps have one stride, else 1.

    Args:
        strides: Of the maps in pixels, or None where they are unknown.
        number: Of maps.

    Example:
        >>> from rein_seg.heads.mask2former.layers import pyramid_scales
        >>> pyramid_scales([16] * 4, 4), pyramid_scales([4, 8, 16, 32], 4)
        ((4.0, 2.0, 1.0, 0.5), (1, 1, 1, 1))
    """
    if strides is None or len(set(strides)) > 1 or number != len(STRIDES):
        return (1,) * number
    return tuple(have / want for have, want in zip(strides, STRIDES, strict=True))
