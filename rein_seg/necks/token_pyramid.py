"""A feature pyramid from the maps of a plain vision transformer, all of one size.

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

    A 1x1 convolution commutes with bilinear resizing, so it runs first, on the small map.

    Args:
        in_channels: C of each map.
        factors: Scale of each map; 0.5 is the mean of 2 x 2.
        out_channels: Channels after the convolution. None: no convolution, no parameters.

    Shapes:
        (B, C_i, H, W) -> (B, out, floor(H f_i), floor(W f_i)) for each map.

    Raises:
        UserError: If the numbers of factors and maps differ.

    Source: the pyramid of Wei et al., CVPR 2024 (Rein). Differs from it: the convolution is ours.

    Example:
        >>> import torch
        >>> from rein_seg.necks import TokenPyramid
        >>> neck = TokenPyramid([8, 8, 8, 8], out_channels=4)
        >>> [tuple(x.shape) for x in neck([torch.randn(1, 8, 4, 6)] * 4)]
        [(1, 4, 16, 24), (1, 4, 8, 12), (1, 4, 4, 6), (1, 4, 2, 3)]
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
        # read by the segmentor for the heads' in_channels
        self.out_channels = tuple(out_channels or c for c in in_channels)
        self.convs = nn.ModuleList(
            nn.Identity() if out_channels is None else nn.Conv2d(c, out_channels, 1)
            for c in in_channels
        )

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Returns the resized maps, in the order of the factors."""
        return tuple(
            resize_by(conv(x), factor)
            for x, conv, factor in zip(maps, self.convs, self.factors, strict=True)
        )
