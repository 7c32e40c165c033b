"""Two pathways: the semantic map of the last block, and details that local steps add up.

B batch, C channels of a map, E channels of the patch embedding, D width, H x W grid, T maps.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from torch import Tensor, nn


def high_pass(x: Tensor) -> Tensor:
    """Returns a map minus its 3x3 means, (B, D, H, W); beyond the border its edge repeats.

    Example:
        >>> import torch
        >>> from rein_seg.heads.repsep.pathways import high_pass
        >>> high_pass(torch.tensor([[[[0.0, 0.0, 3.0]]]]))
        tensor([[[[ 0., -1.,  1.]]]])
    """
    return x - F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode='replicate'), 3, stride=1)


class LocalStep(nn.Module):
    """Adds the details of a map of the encoder: L + W_out GELU(DW3 h(LN(L + W_in t))).

    Args:
        in_channels: C.
        channels: D.

    Shapes:
        L (B, D, H, W) and t (B, C, H, W) -> (B, D, H, W).
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(in_channels, channels, 1)
        self.norm = nn.LayerNorm(channels)
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.leave = nn.Conv2d(channels, channels, 1)

    def forward(self, local: Tensor, tap: Tensor) -> Tensor:
        """Returns the next L."""
        x = local + self.enter(tap)
        x = self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return local + self.leave(F.gelu(self.depthwise(high_pass(x))))


class TwoPathways(nn.Module):
    """Joins details, from the patch embedding through a step for each map, with the last map.

    Args:
        embedding_dims: E.
        in_channels: C of each map, T of them.
        channels: D.
        norm_cfg: Norm behind the join.

    Shapes:
        embedding (B, E, H, W) and maps (B, C, H, W) -> Z (B, D, H, W).

    Example:
        >>> import torch
        >>> from rein_seg.heads.repsep.pathways import TwoPathways
        >>> pathways = TwoPathways(6, [8, 8], 4, norm_cfg=dict(type='BN'))
        >>> pathways(torch.randn(2, 6, 3, 5), [torch.randn(2, 8, 3, 5)] * 2).shape
        torch.Size([2, 4, 3, 5])
    """

    def __init__(
        self, embedding_dims: int, in_channels: Sequence[int], channels: int, *, norm_cfg: dict
    ) -> None:
        super().__init__()
        self.start = nn.Conv2d(embedding_dims, channels, 1)
        self.steps = nn.ModuleList(LocalStep(width, channels) for width in in_channels)
        self.semantic = nn.Conv2d(in_channels[-1], channels, 1)
        self.join = ConvModule(2 * channels, channels, 1, norm_cfg=norm_cfg)

    def forward(self, embedding: Tensor, maps: Sequence[Tensor]) -> Tensor:
        """Returns Z."""
        local = self.start(embedding)
        for step, tap in zip(self.steps, maps, strict=True):
            local = step(local, tap)
        return self.join(torch.cat((local, self.semantic(maps[-1])), dim=1))
