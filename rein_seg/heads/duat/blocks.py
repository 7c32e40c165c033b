"""The two blocks of DuAT's decoder, under the names of the official code.

B batch, C channels of a map, D width of the decoder, K output channels, H x W map.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConvNormReLU(nn.Module):
    """A convolution without bias, batch norm and ReLU; the map keeps its size.

    Args:
        in_channels: C.
        out_channels: D.
        kernel: Side in pixels, odd.

    Example:
        >>> import torch
        >>> from rein_seg.heads.duat.blocks import ConvNormReLU
        >>> ConvNormReLU(4, 8, kernel=3)(torch.zeros(2, 4, 5, 6)).shape
        torch.Size([2, 8, 5, 6])
    """

    def __init__(self, in_channels: int, out_channels: int, *, kernel: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Returns (B, D, H, W) of (B, C, H, W)."""
        return F.relu(self.bn(self.conv(x)))


class GLSA(nn.Module):
    """Refines one half of the channels locally, the other half by a global context.

    Args:
        in_channels: C, even.
        width: D.

    Shapes:
        (B, C, H, W) -> (B, D, H, W).

    Source: Tang et al., "DuAT" (PRCV 2023), Sec. 3.2. Differs from it: three layers of the official
    code that it never calls are left out.

    Example:
        >>> import torch
        >>> from rein_seg.heads.duat import GLSA
        >>> GLSA(16, 8)(torch.randn(2, 16, 6, 9)).shape
        torch.Size([2, 8, 6, 9])
    """

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        half = in_channels // 2
        self.local_11conv = nn.Conv2d(half, width, 1)
        self.global_11conv = nn.Conv2d(half, width, 1)
        self.local = LocalBranch(width)
        self.GlobelBlock = GlobalBranch(width)
        self.conv1_1 = ConvNormReLU(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Returns (B, D, H, W)."""
        first, second = x.chunk(2, dim=1)
        local = self.local(self.local_11conv(first))
        context = self.GlobelBlock(self.global_11conv(second))
        return self.conv1_1(torch.cat([local, context], dim=1))


class LocalBranch(nn.Module):
    """Adds to a map its product with a mask in [0.5, 1), made by depthwise convolutions.

    Args:
        width: D.

    Shapes:
        (B, D, H, W) -> (B, D, H, W).
    """

    def __init__(self, width: int) -> None:
        super().__init__()

        def layer(kernel: int, act: type[nn.Module]) -> nn.Sequential:
            groups = 1 if kernel == 1 else width
            conv = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=groups, bias=False)
            return nn.Sequential(conv, nn.BatchNorm2d(width), act())

        self.conv1, self.conv2 = layer(1, nn.ReLU), layer(3, nn.ReLU)
        self.conv3, self.conv4 = layer(1, nn.ReLU), layer(3, nn.ReLU)
        self.conv5, self.conv6 = layer(1, nn.SiLU), layer(3, nn.ReLU)
        self.conv7 = nn.Sequential(nn.Conv2d(width, width, 1, bias=False), nn.ReLU(), nn.Sigmoid())

    def forward(self, u: Tensor) -> Tensor:
        """Returns u + u * mask."""
        y = u
        for point, depth in (
            (self.conv1, self.conv2),
            (self.conv3, self.conv4),
            (self.conv5, self.conv6),
        ):
            y = point(y)
            y = y + depth(y)
        return u + u * self.conv7(y)


class GlobalBranch(nn.Module):
    """Scales the channels of a map by its mean under learned weights of the positions.

    Args:
        width: D.

    Shapes:
        (B, D, H, W) -> (B, D, H, W).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_mask = nn.Conv2d(width, 1, 1)
        self.channel_mul_conv = nn.Sequential(
            nn.Conv2d(width, 2 * width, 1),
            nn.LayerNorm([2 * width, 1, 1]),
            nn.ReLU(),
            nn.Conv2d(2 * width, width, 1),
        )
        nn.init.kaiming_normal_(self.conv_mask.weight, mode='fan_in')
        nn.init.zeros_(self.conv_mask.bias)
        nn.init.zeros_(self.channel_mul_conv[3].weight)
        nn.init.zeros_(self.channel_mul_conv[3].bias)

    def forward(self, v: Tensor) -> Tensor:
        """Returns v + v * sigmoid(t), with t of the mean over the positions."""
        share = self.conv_mask(v).flatten(2).softmax(-1)  # (B, 1, HW)
        context = (v.flatten(2) * share).sum(-1)[..., None, None]  # (B, D, 1, 1)
        return v + v * self.channel_mul_conv(context).sigmoid()


class SBA(nn.Module):
    """Exchanges a coarse and a fine map through gates, and predicts at the fine size.

    h and l are half as wide. l' = l + gl l + (1 - gl) up(gh h), then
    h' = h + gh h + (1 - gh) down(gl l'), with the new l'.

    Args:
        width: D of both maps, even.
        num_outputs: K.

    Shapes:
        high (B, D, h, w), low (B, D, H, W) -> (B, K, H, W).

    Source: Tang et al., "DuAT" (PRCV 2023), Sec. 3.3. Differs from it: none.

    Example:
        >>> import torch
        >>> from rein_seg.heads.duat import SBA
        >>> SBA(8)(torch.randn(2, 8, 4, 6), torch.randn(2, 8, 8, 12)).shape
        torch.Size([2, 1, 8, 12])
    """

    def __init__(self, width: int, num_outputs: int = 1) -> None:
        super().__init__()
        half = width // 2
        self.fc1 = nn.Conv2d(width, half, 1, bias=False)  # of low
        self.fc2 = nn.Conv2d(width, half, 1, bias=False)  # of high
        self.d_in1 = ConvNormReLU(half, half)  # of low
        self.d_in2 = ConvNormReLU(half, half)  # of high
        self.conv = nn.Sequential(
            ConvNormReLU(2 * half, width, kernel=3), nn.Conv2d(width, num_outputs, 1, bias=False)
        )

    def forward(self, high: Tensor, low: Tensor) -> Tensor:
        """Returns (B, K, H, W) logits."""
        low, high = self.fc1(low), self.fc2(high)
        low_gate, high_gate = low.sigmoid(), high.sigmoid()
        low, high = self.d_in1(low), self.d_in2(high)
        low = low + low * low_gate + (1 - low_gate) * resize(high_gate * high, low)
        high = high + high * high_gate + (1 - high_gate) * resize(low_gate * low, high)
        return self.conv(torch.cat([resize(high, low), low], dim=1))


def resize(x: Tensor, like: Tensor) -> Tensor:
    """Returns (B, C, h, w) bilinearly resized to the size of another map.

    Example:
        >>> import torch
        >>> from rein_seg.heads.duat.blocks import resize
        >>> resize(torch.zeros(1, 2, 3, 3), torch.zeros(1, 5, 6, 7)).shape
        torch.Size([1, 2, 6, 7])
    """
    return F.interpolate(x, size=like.shape[-2:], mode='bilinear', align_corners=False)
