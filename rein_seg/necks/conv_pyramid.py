"""A trainable feature pyramid from the maps of a plain vision transformer, all of one size.

B batch, C channels, H x W grid.
"""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.errors import UserError


def make_level(channels: int, factor: float, *, batch_norm: bool = False) -> nn.Sequential:
    """Returns a GroupNorm with one group and the layers that scale a map by ``factor``.

    Args:
        channels: C of the map.
        factor: 4, 2, 1 or 0.5.
        batch_norm: Puts a batch norm between the two convolutions of factor 4.

    Raises:
        UserError: If it is another factor.
    """
    # a transposed convolution of kernel 2 and stride 2 doubles each side
    scale: dict[float, list[nn.Module]] = {
        4: [
            _double(channels),
            *([nn.BatchNorm2d(channels)] if batch_norm else []),
            nn.GELU(),
            _double(channels),
        ],
        2: [_double(channels)],
        1: [],
        0.5: [nn.MaxPool2d(2, 2)],
    }
    if factor not in scale:
        raise UserError(f'ConvPyramid factor {factor!r}: expected one of {list(scale)}')
    # with one group the norm is a layer norm over channels and positions
    return nn.Sequential(nn.GroupNorm(1, channels), *scale[factor])


@MODELS.register_module()
class ConvPyramid(BaseModule):
    """Scales map i by factor i: a norm, then transposed convolutions or a max pool.

    Args:
        in_channels: C of each map.
        factors: Scale of each map: 4, 2, 1 or 0.5.
        batch_norm: Puts a batch norm between the two convolutions of factor 4.

    Attributes:
        least_steps: Least H and W: a max pool needs two steps.

    Shapes:
        (B, C_i, H, W) -> (B, C_i, floor(H f_i), floor(W f_i)) for each map.

    Raises:
        UserError: If the numbers of factors and maps differ, a factor is another number, or a map
            is too small.

    Source: the official code of Rein for CLIP, where this neck trains together with Rein; it is
    not in the paper. With ``batch_norm``: the official code of Rao et al., "DenseCLIP" (CVPR 2022).

    Example:
        >>> import torch
        >>> from rein_seg.necks import ConvPyramid
        >>> neck = ConvPyramid([8, 8], factors=(2, 0.5))
        >>> [tuple(x.shape) for x in neck([torch.randn(1, 8, 4, 6)] * 2)]
        [(1, 8, 8, 12), (1, 8, 2, 3)]
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        factors: Sequence[float] = (4, 2, 1, 0.5),
        *,
        batch_norm: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if len(factors) != len(in_channels):
            raise UserError(
                f'ConvPyramid has {len(factors)} factors for {len(in_channels)} maps: choose as '
                "many out_indices of the encoder as there are factors, or set the neck's factors"
            )
        self.out_channels = tuple(in_channels)
        self.levels = nn.ModuleList(
            make_level(channels, factor, batch_norm=batch_norm)
            for channels, factor in zip(in_channels, factors, strict=True)
        )
        self.least_steps = 2 if min(factors) < 1 else 1

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Returns the scaled maps, in the order of the factors."""
        steps = tuple(min(x.shape[i] for x in maps) for i in (2, 3))
        if min(steps) < self.least_steps:
            raise UserError(
                f'ConvPyramid halves a map of {steps} steps (height, width): expected at least '
                f'{self.least_steps}; give images with sides of two patches or more'
            )
        return tuple(level(x) for level, x in zip(self.levels, maps, strict=True))


def _double(channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels, channels, 2, stride=2)
