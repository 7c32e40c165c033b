"""PGT, the pyramid group transformer: four stages of tokens at strides 4, 8, 16 and 32.

B batch, C channels, H x W image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.encoders.checks import (
    check_listed,
    check_out_indices,
    check_smallest_side,
    drop_path_rates,
)
from rein_seg.encoders.pgt.archs import check_options, find_sizes
from rein_seg.encoders.pgt.attention import Padding
from rein_seg.encoders.pgt.blocks import PGTBlock, PGTStage, Transform
from rein_seg.structures import RunState


@MODELS.register_module()
class PGT(BaseModule):
    """Computes the normed maps of stages of a pyramid group transformer, for any image size.

    A stage gets the tokens of the stage before without their output norm. Patches that an image
    side does not fill are left out. Stages behind the last output are not run.

    Args:
        arch: tiny, small, base or large, or embed_dims (of the first stage; the width doubles with
            each stage), depths, num_heads and group_nums of each stage. A stage's number of groups
            is a square number, g^2.
        out_indices: Stages whose outputs are returned, each through a norm of its own; default all.
        mlp_ratio: Width of the feed-forward, as a multiple of the stream's width.
        qkv_bias: Whether queries, keys and values have biases.
        patch_norm: Whether patches are normed.
        padding: ``intent`` or ``official``; see `PyramidGroupAttention`.
        drop_path_rate: Rate of stochastic depth of the last block, in training mode; the rates of
            the others rise to it linearly from 0.

    Shapes:
        (B, 3, H, W) normalised image -> (B, C 2^s, H / 2^(s+2), W / 2^(s+2)), rounded down, for
        each output s.

    Raises:
        UserError: If an argument is not as above, or an image is smaller than a patch of the last
            stage that runs.

    Source: Wu et al., "Fully Transformer Networks for Semantic Image Segmentation" (2021), Sec.
    3.2, and its pull request to mmsegmentation. Differs from it: ``padding='intent'`` hides the
    padding; the pull request attends to it.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.pgt import PGT
        >>> sizes = dict(embed_dims=8, depths=[1, 1], num_heads=[1, 2], group_nums=[4, 1])
        >>> [tuple(x.shape) for x in PGT(sizes)(torch.zeros(1, 3, 32, 52))]
        [(1, 8, 8, 13), (1, 16, 4, 6)]
    """

    def __init__(
        self,
        arch: str | Mapping[str, Any] = 'tiny',
        *,
        out_indices: Sequence[int] | None = None,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        patch_norm: bool = True,
        padding: Padding = 'intent',
        drop_path_rate: float = 0.0,
        init_cfg: None = None,
    ) -> None:
        super().__init__(init_cfg)
        sizes = find_sizes(arch)
        check_options(mlp_ratio, padding)
        check_listed('out_indices', out_indices, unit='stages')
        num_stages = len(sizes['depths'])
        chosen = range(num_stages) if out_indices is None else out_indices
        self.out_indices = check_out_indices(chosen, num_stages, unit='stages')
        self.depths = tuple(sizes['depths'])
        self.widths = tuple(sizes['embed_dims'] * 2**stage for stage in range(num_stages))
        self.patch_sizes = (4, *(2,) * (num_stages - 1))
        self.state = RunState()
        rates = iter(drop_path_rates(drop_path_rate, sum(self.depths)))
        options = dict(mlp_ratio=mlp_ratio, qkv_bias=qkv_bias, padding=padding)
        self.stages = nn.ModuleList(
            self._stage(stage, sizes, patch_norm, rates, options) for stage in range(num_stages)
        )
        for index in self.out_indices:
            self.add_module(f'norm{index}', nn.LayerNorm(self.widths[index]))

    def _stage(
        self,
        stage: int,
        sizes: Mapping[str, Any],
        patch_norm: bool,
        rates: Iterator[float],
        options: Mapping[str, Any],
    ) -> PGTStage:
        width, state = self.widths[stage], self.state
        heads, groups = sizes['num_heads'][stage], sizes['group_nums'][stage]
        before = self.widths[stage - 1] if stage else 3
        return PGTStage(
            Transform(before, width, self.patch_sizes[stage], state=state, norm=patch_norm),
            [
                PGTBlock(width, heads, groups, state=state, drop_path=next(rates), **options)
                for _ in range(self.depths[stage])
            ],
        )

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Returns the normed maps of the chosen stages."""
        self.check_size(image.shape[2:])
        self.state.begin()
        x, outputs = image, []
        for index, stage in enumerate(self.stages[: self.out_indices[-1] + 1]):
            tokens = stage(x)
            if index in self.out_indices:
                outputs.append(self._map(self.get_submodule(f'norm{index}')(tokens)))
            x = self._map(tokens)
        return tuple(outputs)

    def check_size(self, size: Sequence[int]) -> None:
        """Checks that an image has a patch of the last stage that runs.

        Args:
            size: (H, W) in pixels.

        Raises:
            UserError: If it has not.
        """
        check_smallest_side('PGT', size, 4 * 2 ** self.out_indices[-1])

    def _map(self, tokens: Tensor) -> Tensor:
        """Returns (B, N, C) tokens as (B, C, H, W)."""
        return tokens.transpose(1, 2).unflatten(2, self.state.grid)
