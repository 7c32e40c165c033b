"""PVT: a transformer of four stages of tokens, whose attention reduces its keys.

B batch, C_i channels and H_i x W_i grid of stage i, g_i side of its stored positions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.encoders.checks import (
    check_count,
    check_listed,
    check_out_indices,
    check_smallest_side,
    drop_path_rates,
)
from rein_seg.encoders.pvt.archs import make_arch
from rein_seg.encoders.pvt.layers import Block, Grid, PatchEmbed
from rein_seg.encoders.resampling import resize_grid
from rein_seg.errors import UserError
from rein_seg.structures import RunState

_IMG_SIZE = 224
_STD = 0.02


@MODELS.register_module()
class PVT(nn.Module):
    """Computes maps of the stages of a pyramid vision transformer, of any size from 32 pixels.

    Stages behind the last output are not run.

    Args:
        arch: v1_tiny, v1_small, v1_medium, v1_large, v2_b0 to v2_b5 or v2_b2_li; or a dict of
            version (v1, v2) and, for each stage, embed_dims, num_heads, mlp_ratios, depths and
            optionally sr_ratios; see `Arch`.
        img_size: Side in pixels of the images that the stored positions are for (v1), 224 by
            default. Positions are resized, bilinearly, to the grid of each image.
        out_indices: Stages whose maps are returned; default all.
        drop_path_rate: Probability that a branch is left out in training, of the last block; it
            rises linearly from 0 at the first block.

    Shapes:
        (B, 3, H, W) normalised image -> (B, C_i, H / (4 2^i), W / (4 2^i)) for each output i,
        rounded down after each stage in v1, up in v2.

    Raises:
        UserError: If an argument is not as above, or a side of an image is too short.

    Source: Wang et al., ICCV 2021 (v1) and CVMJ 2022 (v2), as the code for segmentation has them.
    Differs from it: v1 resizes positions whenever the grid is another; officially not where it has
    as many positions.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.pvt import PVT
        >>> sizes = dict(embed_dims=[16, 32], num_heads=[1, 2], mlp_ratios=[4, 4], depths=[1, 1])
        >>> encoder = PVT(dict(version='v2', **sizes))
        >>> [tuple(x.shape) for x in encoder(torch.zeros(1, 3, 64, 100))]
        [(1, 16, 16, 25), (1, 32, 8, 13)]
    """

    def __init__(
        self,
        arch: str | Mapping[str, Any] = 'v2_b2',
        *,
        img_size: int | None = None,
        out_indices: Sequence[int] | None = None,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.arch = sizes = make_arch(arch)
        self.num_stages = len(sizes.depths)
        self.img_size = _checked_size(img_size, sizes.version)
        check_listed('out_indices', out_indices, unit='stages')
        chosen = range(self.num_stages) if out_indices is None else out_indices
        self.out_indices = list(check_out_indices(chosen, self.num_stages, unit='stages'))
        self.state = RunState()
        rates = drop_path_rates(drop_path_rate, sum(sizes.depths))
        widths = (3, *sizes.embed_dims)
        for stage, depth in enumerate(sizes.depths):
            embed = PatchEmbed(
                widths[stage], widths[stage + 1], 2 if stage else 4, overlap=sizes.version == 'v2'
            )
            blocks = [Block(stage, sizes, rates.pop(0), self.state) for _ in range(depth)]
            setattr(self, f'patch_embed{stage + 1}', embed)
            if self.img_size is not None:
                table = torch.zeros(1, self.num_positions(stage), widths[stage + 1])
                setattr(self, f'pos_embed{stage + 1}', nn.Parameter(table))
            setattr(self, f'block{stage + 1}', nn.ModuleList(blocks))
            if sizes.version == 'v2':
                setattr(self, f'norm{stage + 1}', nn.LayerNorm(widths[stage + 1], eps=1e-6))
        self.reset_parameters()

    @property
    def smallest_side(self) -> int:
        """Shortest side in pixels of an image that gives each stage that runs a key."""
        if self.arch.linear:  # it pools small maps up
            return 1
        ratios = self.arch.sr_ratios[: self.out_indices[-1] + 1]
        return max(4 * 2**stage * ratio for stage, ratio in enumerate(ratios))

    def check_size(self, size: Sequence[int]) -> None:
        """Checks that an image gives each stage that runs a key.

        Args:
            size: (H, W) in pixels.

        Raises:
            UserError: If it does not.
        """
        check_smallest_side('PVT', size, self.smallest_side)

    def num_positions(self, stage: int) -> int:
        """Returns the rows of the stored positions of a stage; the last has a class token's."""
        return self.stored_side(stage) ** 2 + int(stage == self.num_stages - 1)

    def stored_side(self, stage: int) -> int:
        """Returns g of a stage (v1)."""
        assert self.img_size is not None, 'v2 has no positions'
        return self.img_size // (4 * 2**stage)

    def reset_parameters(self) -> None:
        """Draws all weights anew, as officially before training on ImageNet."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=_STD)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, (nn.LayerNorm, nn.Conv2d)):
                module.reset_parameters()
                if isinstance(module, nn.Conv2d) and self.arch.version == 'v2':
                    fan = module.weight[0, 0].numel() * module.out_channels / module.groups
                    nn.init.normal_(module.weight, std=math.sqrt(2 / fan))
                    nn.init.zeros_(module.bias)
        for name, param in self.named_parameters(recurse=False):
            assert name.startswith('pos_embed'), name
            nn.init.trunc_normal_(param, std=_STD)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns one map for each of ``out_indices``."""
        self.check_size(x.shape[-2:])
        self.state.begin()
        outputs = []
        for stage in range(self.out_indices[-1] + 1):
            number = stage + 1
            x, grid = self.get_submodule(f'patch_embed{number}')(x)
            if self.img_size is not None:
                x = x + self.positions(stage, grid)
            self.state.grid = grid
            for block in self.get_submodule(f'block{number}'):
                x = block(x, grid)
            if self.arch.version == 'v2':
                x = self.get_submodule(f'norm{number}')(x)
            x = x.transpose(1, 2).unflatten(2, grid)  # (B, C, H, W), the next stage's input, too
            if stage in self.out_indices:
                outputs.append(x)
        return tuple(outputs)

    def positions(self, stage: int, grid: Grid) -> Tensor:
        """Returns the (1, H W, C) positions of a stage of v1, resized to its grid."""
        table = getattr(self, f'pos_embed{stage + 1}')
        side = self.stored_side(stage)
        table = table[:, table.shape[1] - side * side :]  # without the class token's
        if grid == (side, side):
            return table
        square = table.unflatten(1, (side, side))
        return resize_grid(square, mode='bilinear', size=grid).flatten(1, 2).to(table.dtype)


def _checked_size(img_size: int | None, version: str) -> int | None:
    if version == 'v1':
        return check_count('img_size', _IMG_SIZE if img_size is None else img_size, least=32)
    if img_size is not None:
        raise UserError(
            f'encoder.img_size={img_size!r} has no effect: PVT v2 stores no positions; leave it out'
        )
    return None
