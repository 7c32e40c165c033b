"""The pixel decoder of MaskFormer: a feature pyramid whose finest map gives the mask features.

B batch, C channels of a map, D width, E width of the mask features, n maps.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.heads.mask2former.layers import ConvGN
from rein_seg.resize import resize_by


class PyramidDecoder(nn.Module):
    """Adds coarse maps to fine maps, from the last to the first.

    The last map goes through a 3x3 convolution; every other map through a 1x1 convolution, the sum
    with the coarser result (enlarged to the nearest pixel), and a 3x3 convolution. After each a
    group norm, after each 3x3 convolution a ReLU.

    Args:
        in_channels: C of each map, finest first.
        embed_dims: D.
        mask_dims: E.
        groups: Of the group norms.

    Shapes:
        n maps (B, C_i, H_i, W_i) -> (B, E, H_0, W_0).

    Source: Cheng et al., "MaskFormer" (NeurIPS 2021), Sec. 4.1; Lin et al., "Feature Pyramid
    Networks" (CVPR 2017).

    Example:
        >>> import torch
        >>> from rein_seg.heads.maskformer.pixel_decoder import PyramidDecoder
        >>> decoder = PyramidDecoder([4, 8], embed_dims=8, mask_dims=6, groups=2)
        >>> maps = [torch.randn(1, 4, 8, 8), torch.randn(1, 8, 4, 4)]
        >>> decoder(maps, scales=(1, 1)).shape
        torch.Size([1, 6, 8, 8])
    """

    def __init__(
        self, in_channels: Sequence[int], *, embed_dims: int, mask_dims: int, groups: int
    ) -> None:
        super().__init__()
        options = dict(groups=groups, bias=False)
        *fine, last = in_channels
        self.adapters = nn.ModuleList(ConvGN(c, embed_dims, **options) for c in fine)
        inputs = [embed_dims for _ in fine] + [last]
        self.layers = nn.ModuleList(ConvGN(c, embed_dims, kernel=3, **options) for c in inputs)
        self.mask_features = nn.Conv2d(embed_dims, mask_dims, 3, padding=1)
        nn.init.xavier_uniform_(self.mask_features.weight)
        nn.init.zeros_(self.mask_features.bias)

    def forward(self, maps: Sequence[Tensor], scales: Sequence[float]) -> Tensor:
        """Returns the mask features.

        Args:
            maps: Of the encoder, finest first.
            scales: Factor by which each map is resized.
        """
        *fine, last = zip(maps, scales, strict=True)
        y = F.relu(self.layers[-1](resize_by(*last)))
        for (x, scale), adapter, layer in reversed(
            list(zip(fine, self.adapters, self.layers[:-1], strict=True))
        ):
            x = adapter(x, scale)
            y = F.relu(layer(x + F.interpolate(y, size=x.shape[-2:], mode='nearest')))
        return self.mask_features(y)
