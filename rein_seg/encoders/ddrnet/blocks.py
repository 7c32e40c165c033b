"""Residual blocks of DDRNet: the last block of a layer ends without its ReLU.

ReLUs behind norms and sums work in place.

B batch, C channels, H x W map.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from torch import Tensor, nn

Norm = Callable[[int], nn.Module]  # width -> norm


class Conv(nn.Conv2d):
    """A convolution whose random weights are normal, scaled to its outputs (He et al.)."""

    def reset_parameters(self) -> None:
        """Draws the weights again."""
        super().reset_parameters()  # of the bias
        nn.init.kaiming_normal_(self.weight, mode='fan_out', nonlinearity='relu')


def conv(inputs: int, outputs: int, side: int, stride: int = 1, *, bias: bool = False) -> Conv:
    """Returns a convolution that keeps the map's size, divided by the stride and rounded up."""
    return Conv(inputs, outputs, side, stride, side // 2, bias=bias)


def norms(norm_cfg: dict[str, Any]) -> Norm:
    """Returns the maker of all norms of a network."""
    return lambda width: build_norm_layer(norm_cfg, width)[1]


class BasicBlock(nn.Module):
    """Computes relu(norm(conv(relu(norm(conv x)))) + shortcut x), both convolutions 3x3.

    Args:
        inputs: C of the input.
        width: C of the output.
        norm: Makes a norm.
        stride: Of the first convolution.
        last_relu: Whether the sum goes through the last ReLU.
    """

    expansion = 1

    def __init__(
        self, inputs: int, width: int, *, norm: Norm, stride: int = 1, last_relu: bool = True
    ) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, width, 3, stride), norm(width)
        self.conv2, self.bn2 = conv(width, width, 3), norm(width)
        self.downsample = shortcut(inputs, width, stride, norm)
        self.last_relu = last_relu

    def forward(self, x: Tensor) -> Tensor:
        """Computes (B, C, H, W) -> (B, width, H / stride, W / stride)."""
        y = F.relu_(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y = y + (x if self.downsample is None else self.downsample(x))
        return F.relu_(y) if self.last_relu else y


class Bottleneck(nn.Module):
    """Computes a 1x1, a 3x3 and a 1x1 convolution to twice the width, plus the shortcut.

    Args:
        inputs: C of the input.
        width: C of the inner convolutions; the output has twice as many.
        norm: Makes a norm.
        stride: Of the 3x3 convolution.
    """

    expansion = 2

    def __init__(self, inputs: int, width: int, *, norm: Norm, stride: int = 1) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1, self.bn1 = conv(inputs, width, 1), norm(width)
        self.conv2, self.bn2 = conv(width, width, 3, stride), norm(width)
        self.conv3, self.bn3 = conv(width, outputs, 1), norm(outputs)
        self.downsample = shortcut(inputs, outputs, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Computes (B, C, H, W) -> (B, 2 width, H / stride, W / stride), without a last ReLU."""
        y = F.relu_(self.bn1(self.conv1(x)))
        y = F.relu_(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return y + (x if self.downsample is None else self.downsample(x))


def shortcut(inputs: int, outputs: int, stride: int, norm: Norm) -> nn.Sequential | None:
    """Returns the shortcut of a block that changes the map's width or size; else None."""
    if inputs == outputs and stride == 1:
        return None
    return nn.Sequential(conv(inputs, outputs, 1, stride), norm(outputs))


def layer(inputs: int, width: int, depth: int, *, norm: Norm, stride: int = 1) -> nn.Sequential:
    """Returns basic blocks, of which the last of two or more ends without ReLU."""
    block = partial(BasicBlock, norm=norm)
    last = [index < depth - 1 or depth == 1 for index in range(depth)]
    blocks = [block(inputs, width, stride=stride, last_relu=last[0])]
    return nn.Sequential(*blocks, *(block(width, width, last_relu=relu) for relu in last[1:]))
