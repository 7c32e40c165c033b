"""SAM's image encoder: a vision transformer on (B, H, W, C) maps, most blocks in windows.

Module names follow mmpretrain 1.3.6; weights.py reads official files.

B batch, C channels, H x W grid, w window side, nW windows of an image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmseg.registry import MODELS
from torch import Tensor

from rein_seg.encoders.checks import (
    ARCH_SIZES,
    arch_sizes,
    check_arch,
    check_count,
    check_image_size,
    check_listed,
    check_out_indices,
    default_out_indices,
)
from rein_seg.encoders.resampling import resize_grid
from rein_seg.encoders.sam.attention import WindowAttention
from rein_seg.environment import quiet_imports
from rein_seg.structures import RunState

with quiet_imports():
    from mmpretrain.models.backbones.vit_sam import ViTSAM

_GLOBAL = 'global_attn_indexes'


def _arch(width: int, depth: int, heads: int) -> dict[str, Any]:
    sizes = dict(zip(ARCH_SIZES, (width, depth, heads, 4 * width), strict=True))
    return {**sizes, _GLOBAL: [depth * quarter // 4 - 1 for quarter in range(1, 5)]}


ARCHS = {'base': _arch(768, 12, 12), 'large': _arch(1024, 24, 16), 'huge': _arch(1280, 32, 16)}


@MODELS.register_module()
class SAMViT(ViTSAM):
    """Computes maps of several blocks of SAM's encoder, for any size that its patch divides.

    Blocks behind the last output are not run.

    Args:
        arch: base, large or huge, or embed_dims, num_layers, num_heads, feedforward_channels and
            global_attn_indexes, the blocks whose attention is not in windows.
        img_size: Side in pixels, or (height, width), of the stored grid of positions; other sizes
            resize it (bicubically) and the tables of relative positions (linearly) as they come.
        patch_size: Side in pixels.
        window_size: w in tokens.
        out_indices: Blocks whose outputs are returned; default: the blocks with global attention.
        neck: Sends the last output through SAM's neck, for its mask decoder.
        neck_channels: Width of the neck; no effect without ``neck``.

    Shapes:
        (B, 3, H p, W p) normalised image -> (B, C, H, W) residual stream for each output; with
        ``neck`` the last map has neck_channels.

    Raises:
        UserError: If an argument is not as above.

    Source: Kirillov et al., ICCV 2023. Differs from it: absolute positions are resized, too.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.sam import SAMViT
        >>> sizes = dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=64)
        >>> encoder = SAMViT({**sizes, 'global_attn_indexes': [1]}, img_size=64, out_indices=[0, 1])
        >>> [tuple(x.shape) for x in encoder(torch.zeros(1, 3, 64, 96))]
        [(1, 32, 4, 6), (1, 32, 4, 6)]
    """

    num_extra_tokens = 0  # positions have no row for a class token

    def __init__(
        self,
        arch: str | Mapping[str, Any] = 'base',
        *,
        img_size: int | Sequence[int] = 1024,
        patch_size: int = 16,
        window_size: int = 14,
        out_indices: Sequence[int] | None = None,
        neck: bool = False,
        neck_channels: int = 256,
    ) -> None:
        sizes = _sizes(arch)
        check_count('patch_size', patch_size)
        check_count('window_size', window_size)
        check_count('neck_channels', neck_channels)
        check_image_size(img_size, patch_size)
        check_listed('out_indices', out_indices)
        depth = sizes['num_layers']
        chosen = out_indices or sizes[_GLOBAL] or default_out_indices(depth)
        super().__init__(
            arch=sizes,
            img_size=img_size if isinstance(img_size, int) else tuple(img_size),
            patch_size=patch_size,
            out_channels=neck_channels if neck else 0,
            out_indices=list(check_out_indices(chosen, depth, unit='blocks')),
            out_type='featmap',
            window_size=window_size,
            # a plain 0.0: mmpretrain's NumPy zero breaks a compiled graph in every block
            layer_cfgs=dict(drop_path_rate=0.0),
        )
        self.window_size = window_size
        self.neck = neck
        self.state = RunState()
        for layer in self.layers:
            # windows are cut inside the attention, so that the block itself sees whole maps
            layer.attn = WindowAttention(layer.attn, layer.window_size, self.state)
            layer.window_size = 0

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns one map for each of ``out_indices``."""
        x, grid = self.patch_embed(x)
        x = x.unflatten(1, grid) + self.positions(grid)  # (B, N, C) -> (B, H, W, C)
        outputs = []
        for index in range(self.out_indices[-1] + 1):
            x = self.layers[index](x)
            if index in self.out_indices:
                outputs.append(x.permute(0, 3, 1, 2))
        if self.neck:
            outputs[-1] = self.channel_reduction(outputs[-1])
        return tuple(outputs)

    def positions(self, grid: tuple[int, int]) -> Tensor:
        """Returns the (1, H, W, C) positions of an (H, W) grid."""
        return resize_map(self.pos_embed, grid)


def resize_map(table: Tensor, grid: tuple[int, int]) -> Tensor:
    """Resizes (1, h, w, C) positions to (1, H, W, C), bicubically, by size.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.sam.model import resize_map
        >>> resize_map(torch.zeros(1, 64, 64, 768), (32, 48)).shape
        torch.Size([1, 32, 48, 768])
    """
    if tuple(table.shape[1:3]) == tuple(grid):
        return table
    return resize_grid(table, mode='bicubic', size=tuple(grid)).to(table.dtype)


def _sizes(arch: Any) -> dict[str, Any]:
    sizes = arch_sizes(arch, ARCHS, (*ARCH_SIZES, _GLOBAL))
    check_arch(sizes)
    check_out_indices(sizes[_GLOBAL], sizes['num_layers'], unit='blocks', name=f'arch.{_GLOBAL}')
    return sizes
