"""A feature pyramid from the equal-sized maps of a plain vision transformer.

B batch, C channels, H x W grid.
"""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.resize import resize_by


@MODELS.register_module()
class TokenPyramid(BaseModule):
    """Resizes map i by factor i, bilinearly, after an optional 1x1 convolution.

    A 1x1 convolution commutes with bilinear resizing, so it comes first: on the small map.

    Args:
        in_channels: C of each map.
        factors: Scale of each map; 0.5 is the mean of 2 x 2.
        out_channels: Channels after the convolution; None has no convolution and no parameters.

    Shapes:
        (B, C_i, H, W) -> (B, out, floor(H f_i), floor(W f_i)) for each map.

    Raises:
        UserError: If there is not one factor for each map.

    Source: Wei et al., CVPR 2024 (Rein), official pyramid; the convolution is ours.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        factors: Sequence[float] = (4, 2, 1, 0.5),
        *,
        out_channels: int | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if len(factors) != len(in_channels):
            raise UserError(
                f'TokenPyramid has {len(factors)} factors for {len(in_channels)} maps: choose as '
                "many out_indices of the encoder as there are factors, or set the neck's factors"
            )
        self.factors = tuple(factors)
        self.out_channels = tuple(out_channels or c for c in in_channels)
        self.convs = nn.ModuleList(
            nn.Identity() if out_channels is None else nn.Conv2d(c, out_channels, 1)
            for c in in_channels
        )

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Returns the pyramid, finest first."""
        return tuple(
            resize_by(conv(x), factor)
            for x, conv, factor in zip(maps, self.convs, self.factors, strict=True)
        )
