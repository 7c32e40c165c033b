"""The pixel decoder: deformable attention over three levels, then one fine map.

B batch, C channels of a map, D width, S rows of the three levels together.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from rein_seg.heads.mask2former.deform_attn import DeformAttention, Sizes
from rein_seg.heads.mask2former.layers import FFN, ConvGN, resize_to, sine_positions


class EncoderLayer(nn.Module):
    """Deformable self-attention and FFN, each with a residual sum and then a norm."""

    def __init__(self, embed_dims: int, num_heads: int, hidden: int, num_points: int) -> None:
        super().__init__()
        self.self_attn = DeformAttention(embed_dims, num_heads, num_points=num_points)
        self.ffn = FFN(embed_dims, hidden)
        self.norms = nn.ModuleList(nn.LayerNorm(embed_dims) for _ in range(2))

    def forward(self, x: Tensor, position: Tensor, reference: Tensor, sizes: Sizes) -> Tensor:
        """Returns (B, S, D)."""
        x = self.norms[0](x + self.self_attn(x, position, x, reference, sizes))
        return self.norms[1](x + self.ffn(x))


class Encoder(nn.Module):
    """A stack of `EncoderLayer`."""

    def __init__(self, num_layers: int, *args: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(*args) for _ in range(num_layers))
        for layer in self.layers:
            for name, param in layer.ffn.named_parameters():
                if name.endswith('weight'):
                    nn.init.xavier_normal_(param)


class PixelDecoder(nn.Module):
    """Turns four maps into the mask features of every pixel and three maps to attend to.

    Args:
        in_channels: C of each map, finest first; the last three go through the encoder.
        embed_dims: D.
        num_layers: Layers of the encoder.
        num_heads: Heads of its attention.
        hidden: Width of its FFN.
        num_points: Points of its attention.
        groups: Of the group norms.
        activation_checkpointing: Computes each layer again in the backward pass instead of keeping
            its activations.

    Shapes:
        (B, C_i, H_i, W_i) x 4 -> mask features (B, D, H_0, W_0), and three (B, D, H_i, W_i),
        coarsest first.

    Source: Cheng et al., "Mask2Former" (CVPR 2022), Sec. 3.2.2. Parameter names are mmdet's.

    Example:
        >>> import torch
        >>> from rein_seg.heads.mask2former.pixel_decoder import PixelDecoder
        >>> decoder = PixelDecoder([4] * 4, embed_dims=8, num_layers=1, num_heads=2, groups=2)
        >>> maps = [torch.randn(1, 4, 8, 8)] * 4  # of one stride, as a plain transformer has them
        >>> pixels, memory = decoder(maps, scales=(4, 2, 1, 0.5))
        >>> pixels.shape, [tuple(level.shape[-2:]) for level in memory]
        (torch.Size([1, 8, 32, 32]), [(4, 4), (8, 8), (16, 16)])
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        *,
        embed_dims: int = 256,
        num_layers: int = 6,
        num_heads: int = 8,
        hidden: int = 1024,
        num_points: int = 4,
        groups: int = 32,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        fine, *coarse = in_channels
        self.activation_checkpointing = activation_checkpointing
        self.input_convs = nn.ModuleList(
            ConvGN(c, embed_dims, groups=groups, bias=True) for c in reversed(coarse)
        )
        self.encoder = Encoder(num_layers, embed_dims, num_heads, hidden, num_points)
        self.level_encoding = nn.Embedding(len(coarse), embed_dims)
        self.lateral_convs = nn.ModuleList([ConvGN(fine, embed_dims, groups=groups, bias=False)])
        self.output_convs = nn.ModuleList(
            [ConvGN(embed_dims, embed_dims, kernel=3, groups=groups, bias=False)]
        )
        self.mask_feature = nn.Conv2d(embed_dims, embed_dims, 1)
        nn.init.xavier_uniform_(self.mask_feature.weight)
        nn.init.zeros_(self.mask_feature.bias)

    def forward(
        self, maps: Sequence[Tensor], scales: Sequence[float]
    ) -> tuple[Tensor, list[Tensor]]:
        """Computes the mask features and the memory.

        Args:
            maps: The encoder's maps, finest first.
            scales: Factor by which each map is resized.
        """
        fine, memory = self.decode(maps, scales)
        return self.mask_feature(fine), memory

    def decode(
        self, maps: Sequence[Tensor], scales: Sequence[float]
    ) -> tuple[Tensor, list[Tensor]]:
        """Returns the fine map, from which ``mask_feature`` makes the features, and the memory."""
        fine, *coarse = zip(maps, scales, strict=True)
        levels = [
            conv(x, scale)
            for conv, (x, scale) in zip(self.input_convs, reversed(coarse), strict=True)
        ]
        sizes = [tuple(x.shape[-2:]) for x in levels]
        x = torch.cat([level.flatten(2).transpose(1, 2) for level in levels], dim=1)  # (B, S, D)
        position, reference = self._places(sizes, x)
        for layer in self.encoder.layers:
            if self.activation_checkpointing and torch.is_grad_enabled():
                x = checkpoint(layer, x, position, reference, sizes, use_reentrant=False)
            else:
                x = layer(x, position, reference, sizes)
        rows = x.transpose(1, 2).split([h * w for h, w in sizes], dim=2)  # (B, D, h w) each
        memory = [row.unflatten(2, size) for row, size in zip(rows, sizes, strict=True)]
        y = self.lateral_convs[0](*fine)
        y = y + resize_to(memory[-1], y.shape[-2:])
        return F.relu(self.output_convs[0](y)), memory

    def _places(self, sizes: Sizes, like: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the (S, D) positions and (S, 2) places (x, y) in 0..1 of all rows."""
        positions, places = [], []
        for (height, width), level in zip(sizes, self.level_encoding.weight, strict=True):
            positions.append(sine_positions(height, width, level.numel(), like=like) + level)
            y = (torch.arange(height, device=like.device) + 0.5) / height
            x = (torch.arange(width, device=like.device) + 0.5) / width
            places.append(torch.cartesian_prod(y, x).flip(-1))
        return torch.cat(positions), torch.cat(places)
