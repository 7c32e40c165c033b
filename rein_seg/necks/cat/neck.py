"""The neck of CASTformer: a grid of class-aware tokens for each map, attended.

B batch, N tokens on a grid of n_h x n_w, D width, C channels, H x W map.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.necks.cat.block import Block
from rein_seg.necks.cat.layer import ClassAwareTransformer, draw_linear
from rein_seg.rules import Count, Positive

Grid = int | Sequence[int]


class TransformerEncoder(nn.Module):
    """Learned positions, then pre-norm blocks (TEM).

    Args:
        dims: D.
        num_tokens: N.
        depth: Number of blocks.
        num_heads: Heads of each block; divides D.
        mlp_ratio: Hidden width of each MLP divided by D.

    Shapes:
        (B, N, D) -> (B, N, D).
    """

    def __init__(
        self, dims: int, num_tokens: int, *, depth: int, num_heads: int, mlp_ratio: float = 4.0
    ) -> None:
        super().__init__()
        self.pos_embed = nn.Parameter(torch.empty(1, num_tokens, dims))
        self.blocks = nn.Sequential(
            *(
                Block(dims, num_heads, mlp_ratio=mlp_ratio, qkv_bias=True, eps=1e-6)
                for _ in range(depth)
            )
        )
        self.apply(draw_linear)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the attended tokens."""
        return self.blocks(x + self.pos_embed)


class Level(nn.Module):
    """A 1x1 convolution, CAT, TEM, and the tokens as a map again.

    Args:
        channels: C of the map.
        cat: The class-aware transformer.
        depth: Blocks of TEM.
        num_heads: Heads of each block.

    Shapes:
        (B, C, H, W) -> (B, D, n_h, n_w).
    """

    def __init__(
        self, channels: int, cat: ClassAwareTransformer, *, depth: int, num_heads: int
    ) -> None:
        super().__init__()
        dims, (rows, columns) = cat.pos_layer.out_features, cat.grid
        self.proj = nn.Conv2d(channels, dims, 1)
        self.cat = cat
        self.tem = TransformerEncoder(dims, rows * columns, depth=depth, num_heads=num_heads)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the map of the tokens."""
        tokens = self.tem(self.cat(self.proj(x))).transpose(1, 2)  # (B, D, N)
        rows, columns = self.cat.grid
        if self.cat.official:  # tokens run along columns
            return tokens.unflatten(2, (columns, rows)).transpose(2, 3)
        return tokens.unflatten(2, (rows, columns))


@MODELS.register_module()
class CATNeck(BaseModule):
    """Reads each map at points that its tokens move to, and attends over the tokens of a map.

    Each level has its own 1x1 convolution to D, class-aware transformer (CAT) and transformer
    encoder (TEM). The grids do not depend on the image, so that TEM's learned positions fit every
    size; points start at the centres of equal parts of the map.

    Args:
        in_channels: C of each map.
        grids: n, or (n_h, n_w), of each map.
        embed_dims: D.
        num_heads: Heads of all blocks; divides D.
        num_iters: Steps of each CAT.
        depth: Blocks of each TEM.
        gamma: Factor of the offsets.
        offset_bias: Whether the layers of the offsets have a bias.
        official: CAT as the code of PS-ViT has it; see `ClassAwareTransformer`.
        out_size: Side, or (h, w), that the first map is resized to, bilinearly: the size at which
            a SegFormer head joins all maps. None leaves the grid.

    Shapes:
        (B, C_i, H_i, W_i) -> (B, D, n_h, n_w) for each map; the first (B, D, h, w).

    Raises:
        UserError: If the numbers of grids and maps differ, or the heads do not divide D.

    Source: You et al., "Class-Aware Adversarial Transformers" (NeurIPS 2022), Sec. 3.1; no code was
    published. CAT is the layer of PS-ViT, the four grids and twelve blocks are the paper's. Differs
    from it: D = 256 and 8 heads at every level are ours, since the paper's widths could not be
    read, and so is the absence of a norm behind TEM; and see `ClassAwareTransformer`.

    Example:
        >>> import torch
        >>> from rein_seg.necks import CATNeck
        >>> neck = CATNeck([8, 16], grids=(4, (2, 3)), embed_dims=16, depth=1, out_size=None)
        >>> [tuple(x.shape) for x in neck([torch.zeros(1, 8, 9, 9), torch.zeros(1, 16, 5, 5)])]
        [(1, 16, 4, 4), (1, 16, 2, 3)]
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        grids: Sequence[Count | Sequence[Count]] = (28, 28, 28, 14),
        *,
        embed_dims: Count = 256,
        num_heads: Count = 8,
        num_iters: Count = 4,
        depth: Count = 12,
        gamma: Positive = 1.0,
        offset_bias: bool = True,
        official: bool = False,
        out_size: Count | Sequence[Count] | None = 56,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if len(grids) != len(in_channels):
            raise UserError(
                f'CATNeck has {len(grids)} grids for {len(in_channels)} maps: choose as many '
                "out_indices of the encoder as there are grids, or set the neck's grids"
            )
        if embed_dims % num_heads:
            raise UserError(
                f'CATNeck embed_dims={embed_dims}, num_heads={num_heads}: expected a width that '
                f'the heads divide; take embed_dims={num_heads * -(-embed_dims // num_heads)}'
            )
        self.out_channels = (embed_dims,) * len(in_channels)
        self.out_size = None if out_size is None else _pair(out_size)
        self.levels = nn.ModuleList(
            Level(
                channels,
                ClassAwareTransformer(
                    embed_dims,
                    _pair(grid),
                    num_iters=num_iters,
                    num_heads=num_heads,
                    gamma=gamma,
                    offset_bias=offset_bias,
                    official=official,
                ),
                depth=depth,
                num_heads=num_heads,
            )
            for channels, grid in zip(in_channels, grids, strict=True)
        )

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Returns the maps of the tokens, one for each level."""
        first, *others = (level(x) for level, x in zip(self.levels, maps, strict=True))
        if self.out_size is not None:
            first = F.interpolate(first, size=self.out_size, mode='bilinear')
        return (first, *others)


def _pair(value: Grid) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    if len(value) != 2:
        raise UserError(f'CATNeck: {list(value)} has {len(value)} sides: give n, or (n_h, n_w)')
    return value[0], value[1]
