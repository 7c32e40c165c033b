"""A trainable feature pyramid from the equal-sized maps of a plain vision transformer.

B batch, C channels, H x W grid.
"""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.errors import UserError


def make_level(channels: int, factor: float) -> nn.Sequential:
    """Returns GroupNorm with one group and what scales a map by ``factor``.

    Raises:
        UserError: If it is none of 4, 2, 1 and 0.5.
    """
    scale: dict[float, list[nn.Module]] = {
        4: [_double(channels), nn.GELU(), _double(channels)],
        2: [_double(channels)],
        1: [],
        0.5: [nn.MaxPool2d(2, 2)],
    }
    if factor not in scale:
        raise UserError(f'ConvPyramid factor {factor!r}: expected one of {list(scale)}')
    return nn.Sequential(nn.GroupNorm(1, channels), *scale[factor])


@MODELS.register_module()
class ConvPyramid(BaseModule):
    """Scales map i by factor i with transposed convolutions or a max pool, after a norm.

    Args:
        in_channels: C of each map.
        factors: Scale of each map: 4, 2, 1 or 0.5.

    Shapes:
        (B, C_i, H, W) -> (B, C_i, floor(H f_i), floor(W f_i)) for each map.

    Raises:
        UserError: If there is not one factor for each map, or a factor is another number.

    Source: Rein's later code for CLIP, where this trains together with Rein (specs/rein.md,
    section 3).
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        factors: Sequence[float] = (4, 2, 1, 0.5),
        *,
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
            make_level(channels, factor)
            for channels, factor in zip(in_channels, factors, strict=True)
        )

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Returns the pyramid, finest first."""
        return tuple(level(x) for level, x in zip(self.levels, maps, strict=True))


def _double(channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels, channels, 2, stride=2)
