"""CLIP's modified ResNet: three stem convolutions, average pools in place of strides.

B batch, C channels, D width of the space shared with text, w width of the network, H x W image.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.encoders.checks import (
    arch_sizes,
    check_count,
    check_image_size,
    check_listed,
    check_out_indices,
)
from rein_seg.encoders.clip.attention_pool import AttentionPool
from rein_seg.errors import UserError

ARCHS = {
    'rn50': dict(width=64, depths=[3, 4, 6, 3]),
    'rn101': dict(width=64, depths=[3, 4, 23, 3]),
    'rn50x4': dict(width=80, depths=[4, 6, 10, 6]),
    'rn50x16': dict(width=96, depths=[6, 8, 18, 8]),
    'rn50x64': dict(width=128, depths=[3, 15, 36, 10]),
}
STRIDE = 32  # of the last map
_EXPANSION, _HEAD_WIDTH = 4, 64


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolution with batch norms; an average pool gives the stride.

    Args:
        in_channels: C of the input.
        width: C inside; four times as many leave.
        stride: Of the pools.
    """

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        out_channels = _EXPANSION * width
        self.stride = stride
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.avgpool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Sequential | None = None
        if stride > 1 or in_channels != out_channels:
            conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
            parts = [('-1', nn.AvgPool2d(stride)), ('0', conv), ('1', nn.BatchNorm2d(out_channels))]
            self.downsample = nn.Sequential(OrderedDict(parts))

    def forward(self, x: Tensor) -> Tensor:
        """Returns the (B, 4 width, H / stride, W / stride) map."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.avgpool(self.relu(self.bn2(self.conv2(x))))
        return self.relu(self.bn3(self.conv3(x)) + shortcut)


@MODELS.register_module()
class CLIPResNet(nn.Module):
    """Computes the four maps of CLIP's ResNet, and the joint embedding of its attention pool.

    Args:
        arch: rn50, rn101, rn50x4, rn50x16 or rn50x64, or a dict of width (w, of the stem) and
            depths (blocks of the four stages).
        img_size: Side in pixels, or (height, width), of the stored grid of positions, which has a
            step of 32 pixels. They are resized for other grids.
        out_indices: Stages whose maps are returned; None returns all four.
        joint_dims: D of the joint embedding of `Features`, from the file's ``attnpool``: 1024 for
            rn50 and rn50x64, 512 for rn101, 640 for rn50x4, 768 for rn50x16. Stages behind the last
            output run, too. None: no attention pool.
        pool_heads: Heads of the attention pool. Default: 32 w / 64, as in OpenAI's code. DenseCLIP
            has 32 for any width, the same number for rn50 and rn101.

    Attributes:
        joint: The attention pool, or None.

    Shapes:
        (B, 3, H, W) normalised image -> (B, 4w, H/4, W/4), (B, 8w, H/8, W/8), (B, 16w, H/16, W/16),
        (B, 32w, H/32, W/32). Sides that are no multiple of 32 lose pixels at the right and below.

    Raises:
        UserError: If an argument is not as above.

    Source: Radford et al., ICML 2021, Sec. 2.4. Differs from it, as DenseCLIP's code does: every
    place of the last map is a query of the attention pool.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.clip import CLIPResNet
        >>> encoder = CLIPResNet(dict(width=8, depths=[1, 1, 1, 1]), joint_dims=16).eval()
        >>> [tuple(x.shape) for x in encoder(torch.zeros(1, 3, 64, 96))]
        [(1, 32, 16, 24), (1, 64, 8, 12), (1, 128, 4, 6), (1, 256, 2, 3)]
    """

    def __init__(
        self,
        arch: str | Mapping[str, Any] = 'rn50',
        *,
        img_size: int | Sequence[int] = 224,
        out_indices: Sequence[int] | None = None,
        joint_dims: int | None = None,
        pool_heads: int | None = None,
    ) -> None:
        super().__init__()
        width, self.depths = _sizes(arch)
        check_image_size(img_size, STRIDE)
        check_listed('out_indices', out_indices, unit='stages')
        stages = range(4) if out_indices is None else out_indices
        self.width, self.out_indices = width, list(check_out_indices(stages, 4, unit='stages'))
        half = width // 2
        self.conv1 = nn.Conv2d(3, half, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(half)
        self.conv2 = nn.Conv2d(half, half, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv3 = nn.Conv2d(half, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.avgpool = nn.AvgPool2d(2)
        channels = width
        for stage, depth in enumerate(self.depths):
            inner, stride = width * 2**stage, 2 if stage else 1
            blocks = [Bottleneck(channels, inner, stride)]
            channels = _EXPANSION * inner
            blocks += [Bottleneck(channels, inner, 1) for _ in range(depth - 1)]
            setattr(self, f'layer{stage + 1}', nn.Sequential(*blocks))
        self.joint: AttentionPool | None = None
        if joint_dims is not None:
            dims = check_count('joint_dims', joint_dims)
            sides = (img_size, img_size) if isinstance(img_size, int) else tuple(img_size)
            grid = tuple(side // STRIDE for side in sides)
            heads = _heads(pool_heads, channels)
            self.joint = AttentionPool(channels, dims=dims, num_heads=heads, grid=grid)

    @property
    def num_run(self) -> int:
        """Number of stages that `forward` runs."""
        return max(self.out_indices) + 1 if self.joint is None else len(self.depths)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Returns one map for each of ``out_indices``."""
        x = self.relu(self.bn1(self.conv1(image)))
        x = self.relu(self.bn2(self.conv2(x)))
        x = self.avgpool(self.relu(self.bn3(self.conv3(x))))
        maps = []
        for stage in range(self.num_run):
            x = self.get_submodule(f'layer{stage + 1}')(x)
            maps.append(x)
        if self.joint is not None:
            self.joint(x)  # a hook reads its output: `Features.joint`
        return tuple(maps[stage] for stage in self.out_indices)


def _sizes(arch: Any) -> tuple[int, tuple[int, ...]]:
    """Returns width and blocks of each stage."""
    sizes = arch_sizes(arch, ARCHS, ('width', 'depths'))
    width, depths = check_count('arch.width', sizes['width'], least=2), sizes['depths']
    if not isinstance(depths, Sequence) or isinstance(depths, str) or len(depths) != 4:
        raise UserError(f'encoder.arch.depths={depths!r}: expected the blocks of four stages')
    for stage, depth in enumerate(depths):
        check_count(f'arch.depths[{stage}]', depth)
    return width, tuple(depths)


def _heads(pool_heads: int | None, channels: int) -> int:
    """Returns the number of heads of the attention pool."""
    if pool_heads is None:
        pool_heads = max(channels // _HEAD_WIDTH, 1)
    if channels % check_count('pool_heads', pool_heads):
        raise UserError(
            f'encoder.pool_heads={pool_heads} does not divide the {channels} channels of the last '
            f'stage: expected a divisor, such as {math.gcd(pool_heads, channels)}'
        )
    return pool_heads
