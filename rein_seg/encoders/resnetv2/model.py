"""ResNetV2 with standardised weights: the convolutions in front of hybrid vision transformers.

B batch, C channels, H x W image.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.encoders.checks import check_out_indices
from rein_seg.errors import UserError
from rein_seg.rules import Count, Positive


class StdConv2d(nn.Conv2d):
    """A convolution without bias whose filters have mean 0 and variance 1 when they are used.

    The map is padded with zeros so that its sides are divided by the stride and rounded up; an odd
    number of rows has the larger half below, an odd number of columns at the right.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        kernel_size: Side of the filters.
        stride: Of the output.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the (B, C, ceil(H / stride), ceil(W / stride)) map."""
        padded = pad_same(x, self.kernel_size[0], self.stride[0])
        return F.conv2d(padded, self.standardised(), stride=self.stride)

    def standardised(self) -> Tensor:
        """Returns the filters that are used."""
        weight = self.weight.flatten(1)
        weight = F.layer_norm(weight, weight.shape[1:], eps=1e-8)
        return weight.view_as(self.weight)


def pad_same(x: Tensor, kernel: int, stride: int, value: float = 0.0) -> Tensor:
    """Pads a map so that a window of side ``kernel`` starts at every stride-th pixel.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.resnetv2.model import pad_same
        >>> pad_same(torch.ones(1, 1, 1, 4), kernel=3, stride=2)[0, 0, 0].tolist()
        [0.0, 0.0, 0.0, 0.0, 0.0]
    """
    height, width = (
        max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[-2:]
    )
    return F.pad(
        x, (width // 2, width - width // 2, height // 2, height - height // 2), value=value
    )


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolution, each with a group norm; ReLUs, the last behind the sum.

    Args:
        in_channels: C of the input.
        channels: C of the output, four times the width in between.
        stride: Of the 3x3 convolution.
        groups: Of the norms.
        eps: Of the norms.
    """

    def __init__(
        self, in_channels: int, channels: int, *, stride: int, groups: int, eps: float
    ) -> None:
        super().__init__()
        inner = channels // 4
        self.conv1 = StdConv2d(in_channels, inner, 1)
        self.norm1 = nn.GroupNorm(groups, inner, eps)
        self.conv2 = StdConv2d(inner, inner, 3, stride)
        self.norm2 = nn.GroupNorm(groups, inner, eps)
        self.conv3 = StdConv2d(inner, channels, 1)
        self.norm3 = nn.GroupNorm(groups, channels, eps)
        self.downsample: nn.Module | None = None
        if in_channels != channels or stride != 1:
            self.downsample = nn.Sequential()
            self.downsample.add_module('conv', StdConv2d(in_channels, channels, 1, stride))
            self.downsample.add_module('norm', nn.GroupNorm(groups, channels, eps))

    def forward(self, x: Tensor) -> Tensor:
        """Returns the block's map."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = F.relu(self.norm1(self.conv1(x)))
        y = F.relu(self.norm2(self.conv2(y)))
        return F.relu(shortcut + self.norm3(self.conv3(y)))


@MODELS.register_module()
class ResNetV2(BaseModule):
    """The convolutional half of R50 + ViT: a stem at half the size, then stages at 1/4, 1/8, 1/16.

    Args:
        depths: Blocks of each stage.
        stem_channels: C of the stem.
        base_channels: C of the first stage; each further stage has twice as many.
        norm_groups: Groups of all norms.
        norm_eps: Of all norms: 1e-6 in TransUNet, 1e-5 in timm.
        out_indices: Maps to return: 0 is the stem, 1 the first stage, and so on.

    Shapes:
        (B, 3, H, W) normalised image of any size -> (B, C_i, ceil(H / 2^(i+1)), ceil(W / 2^(i+1))).

    Raises:
        UserError: If a width is no multiple of four times the groups, or an index goes beyond the
            stages.

    Source: Kolesnikov et al., "Big Transfer" (ECCV 2020), as Dosovitskiy et al. (ICLR 2021) put it
    in front of ViT: activations follow their convolutions. TransUNet and CASTformer take these four
    maps. Differs from it: layers, padding and weights are timm's, since details of TransUNet's
    padding and of the standardisation are not known; the norms have TransUNet's eps.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.resnetv2 import ResNetV2
        >>> encoder = ResNetV2(depths=(1, 1, 1))
        >>> [tuple(x.shape[1:]) for x in encoder(torch.zeros(1, 3, 64, 96))]
        [(64, 32, 48), (256, 16, 24), (512, 8, 12), (1024, 4, 6)]
    """

    def __init__(
        self,
        *,
        depths: Sequence[Count] = (3, 4, 9),
        stem_channels: Count = 64,
        base_channels: Count = 256,
        norm_groups: Count = 32,
        norm_eps: Positive = 1e-6,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if stem_channels % norm_groups or base_channels % (4 * norm_groups):
            raise UserError(
                f'ResNetV2 stem_channels={stem_channels}, base_channels={base_channels}, '
                f'norm_groups={norm_groups}: expected multiples of norm_groups and of four times '
                'norm_groups; choose fewer groups or wider layers'
            )
        self.depths = tuple(depths)
        self.out_indices = check_out_indices(out_indices, 1 + len(depths), unit='stages')
        self.stem = nn.Sequential()
        self.stem.add_module('conv', StdConv2d(3, stem_channels, 7, 2))
        self.stem.add_module('norm', nn.GroupNorm(norm_groups, stem_channels, norm_eps))
        self.stages = nn.ModuleList()
        width = stem_channels
        for stage, depth in enumerate(depths):
            blocks = nn.Sequential()
            for index in range(depth):
                channels, stride = base_channels * 2**stage, 2 if stage and not index else 1
                block = Bottleneck(width, channels, stride=stride, groups=norm_groups, eps=norm_eps)
                blocks.append(block)
                width = channels
            self.stages.append(nn.ModuleDict({'blocks': blocks}))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns one map for each of ``out_indices``."""
        x = F.relu(self.stem(x))
        maps = [x]
        x = F.max_pool2d(pad_same(x, 3, 2), 3, 2)  # 0 is as good as -inf behind a ReLU
        for stage in self.stages[: max(self.out_indices)]:
            x = stage['blocks'](x)
            maps.append(x)
        return tuple(maps[index] for index in self.out_indices)
