"""The base of DINOv2, TinyViT and CLIP's tower: mmpretrain's blocks, positions of any grid.

B batch, N patch tokens, P prefix tokens (class, registers), C channels, H x W grid, L blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from rein_seg.encoders.checks import (
    ARCH_SIZES,
    arch_sizes,
    check_arch,
    check_count,
    check_flag,
    check_image_size,
    check_listed,
    check_number,
    default_out_indices,
    drop_path_rates,
)
from rein_seg.encoders.plain_vit.joint import JointSpace
from rein_seg.encoders.resampling import resize_grid
from rein_seg.environment import quiet_imports
from rein_seg.errors import UserError
from rein_seg.fast.dispatch import has_fast_form

with quiet_imports():
    from mmpretrain.models.backbones.vision_transformer import VisionTransformer

_ARCH_KEYS = (*ARCH_SIZES, 'ffn_type')
_FFN_TYPES = ('origin', 'swiglu_fused')
_OUT_TYPES = ('featmap', 'raw')


def make_arch(width: int, depth: int, heads: int, *, ffn_type: str = 'origin') -> dict[str, Any]:
    """Returns the sizes of an architecture whose feed-forward is four times as wide as its stream.

    Example:
        >>> from rein_seg.encoders.plain_vit.model import make_arch
        >>> make_arch(384, 12, 6)['feedforward_channels']
        1536
    """
    sizes = (width, depth, heads, 4 * width, ffn_type)
    return dict(zip(_ARCH_KEYS, sizes, strict=True))


class PlainViT(VisionTransformer):
    """Computes maps of several blocks of a vision transformer, for any size its patch divides.

    Blocks behind the last output are not run, unless the encoder has a ``joint`` space, which reads
    the last block.

    Args:
        arch: Name in ``archs``, or embed_dims, num_layers, num_heads, feedforward_channels and
            optionally ffn_type (``origin``, ``swiglu_fused``).
        archs: Sizes by name.
        img_size: Side in pixels, or (height, width), of the stored grid of positions.
        patch_size: Side in pixels.
        out_indices: Blocks whose outputs are returned; default: `default_out_indices`.
        out_type: ``featmap``, or ``raw`` for whole token sequences.
        final_norm: Applies the final norm to each output; the stream itself stays as it is.
        interpolate_mode: Mode of resizing positions to another grid.
        interpolate_offset: Positions are resized by the factor (H + offset) / stored H, which also
            shifts the sampled places; 0 resizes by size.
        antialias: As in `torch.nn.functional.interpolate`.
        drop_path_rate: Probability that a branch is left out in training, of the last block; it
            rises from 0, linearly.
        **options: Further arguments of mmpretrain's class.

    Shapes:
        (B, 3, H p, W p) normalised image -> (B, C, H, W), or (B, P+N, C), for each output.

    Raises:
        UserError: If an argument is not as above, the width no multiple of the heads, or a side of
            ``img_size`` smaller than a patch.
    """

    num_registers = 0
    align_corners = False  # how positions are resized

    def __init__(
        self,
        arch: str | Mapping[str, Any],
        *,
        archs: Mapping[str, Mapping[str, Any]],
        img_size: int | Sequence[int],
        patch_size: int,
        out_indices: Sequence[int] | None = None,
        out_type: str = 'featmap',
        final_norm: bool = False,
        interpolate_mode: str = 'bicubic',
        interpolate_offset: float = 0.0,
        antialias: bool = False,
        drop_path_rate: float = 0.0,
        layer_cfgs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        sizes = _sizes(arch, archs)
        if out_type not in _OUT_TYPES:
            raise UserError(f'encoder.out_type={out_type!r}: expected one of {_OUT_TYPES}')
        check_flag('final_norm', final_norm)
        check_count('patch_size', patch_size)
        check_image_size(img_size, patch_size)
        check_listed('out_indices', out_indices)
        if not 0 <= check_number('interpolate_offset', interpolate_offset) < 1:
            raise UserError(
                f'encoder.interpolate_offset={interpolate_offset}: expected at least 0 (resize by '
                'size) and less than 1, a part of a patch'
            )
        depth = sizes['num_layers']
        rates = drop_path_rates(drop_path_rate, depth)
        cfg = {'ffn_type': sizes.pop('ffn_type', 'origin'), **(layer_cfgs or {})}
        args = dict(
            arch=sizes,
            img_size=img_size if isinstance(img_size, int) else tuple(img_size),
            patch_size=patch_size,
            out_indices=list(default_out_indices(depth) if out_indices is None else out_indices),
            out_type=out_type,
            final_norm=final_norm,
            interpolate_mode=interpolate_mode,
            # plain numbers: mmpretrain's of NumPy break a compiled graph in every block
            layer_cfgs=[{'drop_path_rate': rate, **cfg} for rate in rates]
            if drop_path_rate
            else {'drop_path_rate': 0.0, **cfg},
            **options,
        )
        super().__init__(**args)
        self.mmpretrain_args = args  # for as_mmpretrain
        self.interpolate_offset = interpolate_offset
        self.antialias = antialias
        self.joint: JointSpace | None = None  # a subclass may set a `JointSpace`

    @property
    def num_prefix(self) -> int:
        """P: class and register tokens, in front of the patches inside the blocks."""
        return 1 + self.num_registers

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns one map, or token sequence, for each of ``out_indices``."""
        x, grid = self.sequence(x)
        outputs = []
        for index in range(self.num_run):
            x = self.layers[index](x)
            if index in self.out_indices:
                outputs.append(self._format_output(self.ln1(x) if self.final_norm else x, grid))
        if self.joint is not None:
            self.joint(x, grid)  # a hook reads its output: `Features.joint`
        return tuple(outputs)

    def sequence(self, images: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Returns the (B, P+N, C) tokens that enter the first block, and their grid (H, W)."""
        x, grid = self.patch_embed(images)
        x = torch.cat((self.class_token().expand(len(x), -1, -1), x), dim=1)  # (B, 1+N, C)
        return self.pre_norm(self.insert_tokens(x + self.positions(grid))), grid

    @property
    def num_run(self) -> int:
        """Number of blocks that `forward` runs."""
        return max(self.out_indices) + 1 if self.joint is None else len(self.layers)

    def class_token(self) -> Tensor:
        """Returns the (1, 1, C) token in front of the patches."""
        return self.cls_token

    def insert_tokens(self, x: Tensor) -> Tensor:
        """Returns the (B, 1+N, C) sequence as it is; subclasses insert tokens without positions."""
        return x

    @has_fast_form('kept_positions')
    def positions(self, grid: tuple[int, int]) -> Tensor:
        """Returns the (1, 1+HW, C) positions of an (H, W) grid, for the class token first."""
        if tuple(grid) == tuple(self.patch_resolution):
            return self.pos_embed
        return self.resize_positions(grid)

    def as_mmpretrain(self) -> dict[str, Any]:
        """Returns the arguments of mmpretrain's own class for the same output.

        The output is the same at ``img_size``; for other sizes mmpretrain resizes the positions by
        another rule.

        Raises:
            UserError: If mmpretrain's class cannot compute the same.
        """
        if self.joint is not None:
            raise UserError(
                "mmpretrain's VisionTransformer has no joint space, this encoder has "
                f'joint_dims={self.joint.dims}; take the official layout'
            )
        if self.final_norm and tuple(self.out_indices) != (self.num_layers - 1,):
            raise UserError(
                "mmpretrain's VisionTransformer norms the last block's output only, this encoder "
                f'each of out_indices={list(self.out_indices)}; take the official layout'
            )
        return dict(self.mmpretrain_args)

    def resize_positions(self, grid: tuple[int, int]) -> Tensor:
        """Returns the (1, 1+HW, C) positions, resized from the stored grid."""
        height, width = self.patch_resolution
        prefix, patches = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        target: dict[str, Any] = dict(size=tuple(grid))
        if self.interpolate_offset:
            offset = self.interpolate_offset
            target = dict(scale_factor=((grid[0] + offset) / height, (grid[1] + offset) / width))
        patches = resize_grid(
            patches.unflatten(1, (height, width)),
            mode=self.interpolate_mode,
            antialias=self.antialias,
            align_corners=self.align_corners,
            **target,
        )
        return torch.cat((prefix, patches.flatten(1, 2).to(prefix.dtype)), dim=1)

    def _format_output(self, x: Tensor, hw: tuple[int, int]) -> Tensor:
        if self.out_type == 'raw':
            return x
        return x[:, self.num_prefix :].transpose(1, 2).unflatten(2, hw)  # (B, C, H, W)


def _sizes(arch: Any, archs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    sizes = arch_sizes(arch, archs, ARCH_SIZES, optional=('ffn_type',))
    if sizes.get('ffn_type', 'origin') not in _FFN_TYPES:
        raise UserError(f'encoder.arch.ffn_type={sizes["ffn_type"]!r}: expected {_FFN_TYPES}')
    check_arch(sizes)
    return sizes
