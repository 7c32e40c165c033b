"""Category-specific awareness: which channels keep the style of an image, and which lose it.

B batch, C channels, h x w map.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.errors import UserError


class AwarenessBlock(nn.Module):
    """Computes s * x + (1 - s) * IN(x), with a gate s of each channel.

    s = sigmoid(W2 relu(W1 mean(x))). IN normalises each channel of each image, in training and
    testing.

    Args:
        channels: C.
        reduction: C over the width between W1 and W2; a divisor of C.

    Raises:
        UserError: If ``reduction`` does not divide C.

    Source: Wang et al., AAAI 2023 (FRPT), equations 6 to 8. Differs from it: none.

    Example:
        >>> import torch
        >>> from rein_seg.heads.image.awareness import AwarenessBlock
        >>> block = AwarenessBlock(16, reduction=8)
        >>> sum(p.numel() for p in block.parameters()), block(torch.randn(2, 16, 4, 4)).shape
        (64, torch.Size([2, 16, 4, 4]))
    """

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        if channels % reduction:
            raise UserError(
                f'RetrievalHead reduction={reduction}: expected a divisor of the {channels} '
                'channels of the map; choose another'
            )
        hidden = channels // reduction
        self.channel_attention = nn.Sequential(
            nn.Conv2d(channels, hidden, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(hidden, channels, 1, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Returns the (B, C, h, w) map."""
        gate = self.channel_attention(x.mean((2, 3), keepdim=True))
        return gate * x + (1 - gate) * instance_norm(x)


def instance_norm(x: Tensor, eps: float = 1e-5) -> Tensor:
    """Returns a (B, C, h, w) map with mean 0 and variance 1 in each channel of each image.

    Example:
        >>> import torch
        >>> from rein_seg.heads.image.awareness import instance_norm
        >>> instance_norm(torch.tensor([[[[1.0, 3.0]]]]))
        tensor([[[[-1.0000,  1.0000]]]])
    """
    # PyTorch's refuses maps of one place, which small images have
    var, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)
    return (x - mean) * torch.rsqrt(var + eps)


def power_mean(x: Tensor, power: float = 3.0, least: float = 1e-6) -> Tensor:
    """Returns the (B, C) generalised mean (mean of max(x, least)^p)^(1/p) of (B, C, h, w).

    Example:
        >>> import torch
        >>> from rein_seg.heads.image.awareness import power_mean
        >>> power_mean(torch.tensor([[[[-1.0, 2.0]]]]))  # (8 / 2)^(1 / 3)
        tensor([[1.5874]])
    """
    return x.clamp(min=least).pow(power).mean((2, 3)).pow(1 / power)


class ConvBlock(nn.Sequential):
    """Convolution, batch norm and ReLU.

    Args:
        in_channels: Of the input.
        out_channels: Of the result.
        kernel_size: Odd.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__()
        conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False
        )
        self.add_module('conv', conv)
        self.add_module('bn', nn.BatchNorm2d(out_channels, momentum=0.01))

    def forward(self, x: Tensor) -> Tensor:
        """Returns the map."""
        return F.relu(super().forward(x))
