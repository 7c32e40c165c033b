"""Swin: stages of (B, H, W, C) maps with attention in shifted windows.

B batch, C channels, H x W grid, w window side, nW windows of an image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmseg.registry import MODELS
from torch import Tensor

from rein_seg.encoders.checks import (
    arch_sizes,
    check_count,
    check_listed,
    check_number,
    check_out_indices,
)
from rein_seg.encoders.swin.attention import MapMerging, ShiftedWindowAttention
from rein_seg.environment import quiet_imports
from rein_seg.errors import UserError
from rein_seg.structures import RunState

with quiet_imports():
    from mmpretrain.models.backbones.swin_transformer import SwinTransformer

_ARCH_KEYS = ('embed_dims', 'depths', 'num_heads')


def _arch(width: int, depths: Sequence[int], heads: int) -> dict[str, Any]:
    each = [heads * 2**stage for stage in range(len(depths))]
    return dict(zip(_ARCH_KEYS, (width, list(depths), each), strict=True))


ARCHS = {
    'tiny': _arch(96, (2, 2, 6, 2), 3),
    'small': _arch(96, (2, 2, 18, 2), 3),
    'base': _arch(128, (2, 2, 18, 2), 4),
    'large': _arch(192, (2, 2, 18, 2), 6),
}


@MODELS.register_module()
class Swin(SwinTransformer):
    """Computes the normed maps of stages of a Swin transformer (version 1), for any image size.

    Zeros pad sides that windows, merging or patches do not divide, as in the code for
    segmentation. Stages behind the last output are not run.

    Args:
        arch: tiny, small, base or large, or embed_dims (of the first stage; the width doubles with
            each stage), depths and num_heads of each stage.
        window_size: w in tokens.
        patch_size: Side in pixels.
        out_indices: Stages whose outputs are returned, each through a norm of its own; default all.
        ffn_ratio: Width of the feed-forward, as a multiple of the stream's width.

    Shapes:
        (B, 3, H, W) normalised image -> (B, C 2^s, H / (p 2^s), W / (p 2^s)), rounded up, for each
        output s.

    Raises:
        UserError: If an argument is not as above.

    Source: Liu et al., ICCV 2021. Differs from it: none.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.swin import Swin
        >>> encoder = Swin(dict(embed_dims=16, depths=[1, 1], num_heads=[1, 2]))
        >>> [tuple(x.shape) for x in encoder(torch.zeros(1, 3, 64, 96))]
        [(1, 16, 16, 24), (1, 32, 8, 12)]
    """

    def __init__(
        self,
        arch: str | Mapping[str, Any] = 'tiny',
        *,
        window_size: int = 7,
        patch_size: int = 4,
        out_indices: Sequence[int] | None = None,
        ffn_ratio: float = 4.0,
    ) -> None:
        sizes = _sizes(arch)
        check_count('window_size', window_size)
        check_count('patch_size', patch_size)
        check_listed('out_indices', out_indices, unit='stages')
        if check_number('ffn_ratio', ffn_ratio) <= 0:
            raise UserError(f'encoder.ffn_ratio={ffn_ratio}: expected a number above 0')
        num_stages = len(sizes['depths'])
        chosen = range(num_stages) if out_indices is None else out_indices
        super().__init__(
            arch=sizes,
            patch_size=patch_size,
            window_size=window_size,
            drop_path_rate=0.0,  # the encoder is frozen: nothing to regularise
            out_indices=list(check_out_indices(chosen, num_stages, unit='stages')),
            stage_cfgs=dict(block_cfgs=dict(ffn_ratio=ffn_ratio)),
        )
        self.state = RunState()
        for stage in self.stages:
            for block in stage.blocks:
                block.attn = ShiftedWindowAttention(block.attn, self.state)
            if stage.downsample is not None:
                stage.downsample = MapMerging(stage.downsample)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns one map for each of ``out_indices``."""
        x, outputs = self.embed(x), []
        for index in range(self.out_indices[-1] + 1):
            if index:
                x = self.stages[index - 1].downsample(x)
            for block in self.stages[index].blocks:
                x = block(x, x.shape[1:3])
            if index in self.out_indices:
                outputs.append(getattr(self, f'norm{index}')(x).permute(0, 3, 1, 2))
        return tuple(outputs)

    def embed(self, image: Tensor) -> Tensor:
        """Returns the normed (B, H/p, W/p, C) patches of an image."""
        # patch_embed itself is not called: its norm would see a sequence, which has no grid
        parts = self.patch_embed
        return parts.norm(parts.projection(parts.adaptive_padding(image)).permute(0, 2, 3, 1))


def _sizes(arch: Any) -> dict[str, Any]:
    arch = arch_sizes(arch, ARCHS, _ARCH_KEYS)
    check_count('arch.embed_dims', arch['embed_dims'])
    lists = [arch['depths'], arch['num_heads']]
    if not all(isinstance(value, (list, tuple)) and value for value in lists) or (
        len(lists[0]) != len(lists[1])
    ):
        raise UserError(
            f'encoder.arch has depths={lists[0]!r} and num_heads={lists[1]!r}: expected two lists, '
            'one number for each stage'
        )
    for stage, (depth, heads) in enumerate(zip(*lists, strict=True)):
        check_count(f'arch.depths[{stage}]', depth)
        check_count(f'arch.num_heads[{stage}]', heads)
        if arch['embed_dims'] * 2**stage % heads:
            raise UserError(
                f'encoder.arch has {arch["embed_dims"] * 2**stage} channels and {heads} heads in '
                f'stage {stage}: expected a width that the number of heads divides'
            )
    return arch
