"""DDRNet: a context branch down to stride 64 beside a detail branch at stride 8.

B batch, C channels, H x W image, p planes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.encoders.checks import arch_sizes, check_count
from rein_seg.encoders.ddrnet.blocks import Bottleneck, Norm, conv, layer, norms
from rein_seg.encoders.ddrnet.pooling import DAPPM, resize_to
from rein_seg.errors import UserError, near_misses

_ARCH_KEYS = ('planes', 'layers', 'spp_planes')
ARCHS = {
    '23_slim': dict(planes=32, layers=[2, 2, 2, 2], spp_planes=128, num_halves=1),
    '23': dict(planes=64, layers=[2, 2, 2, 2], spp_planes=128, num_halves=1),
    '39': dict(planes=64, layers=[3, 4, 6, 3], spp_planes=128, num_halves=2),
}
_OUTPUTS = ('features', 'pyramid')
STRIDE = 8  # of the detail branch: sides of images are multiples


@MODELS.register_module()
class DualResNet(nn.Module):
    """Computes the features of a DDRNet and the map of its auxiliary head.

    After stage 3 and stage 4 each branch is added to the other: the detail branch through strided
    convolutions, the context branch through a 1x1 convolution and bilinear resizing. A pyramid of
    pooled maps (`DAPPM`) ends the context branch. Layers end before their last ReLU; each reader
    begins with it, the heads, too.

    Args:
        arch: 23_slim, 23 or 39, or a dict of planes (p), layers (blocks of stages 1 to 4),
            spp_planes (width of the pyramid) and num_halves: 2 splits stage 3 into two halves, with
            a fusion after each (DDRNet-39); default 1.
        out: ``features``: the sum of both branches, and the detail branch after the last fusion of
            stage 3, for the auxiliary head. ``pyramid``: stage 1, that sum, stage 3, stage 4.
        norm_cfg: Of all norms; default batch norms.

    Shapes:
        (B, 3, H, W) normalised image, H and W multiples of 8 -> features (B, 4p, H/8, W/8),
        auxiliary (B, 2p, H/8, W/8); or a pyramid of p, 4p, 4p, 8p channels at strides 4, 8, 16, 32.

    Raises:
        UserError: If an argument is not as above, or a training batch has a single image, whose
            globally pooled 1x1 map no batch norm can normalise.

    Source: Hong, Pan et al., arXiv 2101.06085, Sec. III. Differs from it: none. The official
    DDRNet-39 synchronises some of its batch norms between GPUs; here ``norm_cfg`` is for all.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.ddrnet import DualResNet
        >>> encoder = DualResNet(dict(planes=4, layers=[1, 1, 2, 1], spp_planes=8)).eval()
        >>> [tuple(x.shape) for x in encoder(torch.zeros(1, 3, 64, 96))]
        [(1, 16, 8, 12), (1, 8, 8, 12)]
    """

    def __init__(
        self,
        arch: str | Mapping[str, Any] = '23_slim',
        *,
        out: Literal['features', 'pyramid'] = 'features',
        norm_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        sizes = _sizes(arch)
        if out not in _OUTPUTS:
            raise UserError(f'encoder.out={out!r}; {near_misses(str(out), _OUTPUTS)}')
        planes, detail = sizes['planes'], 2 * sizes['planes']
        self.planes, self.layers, self.out = planes, tuple(sizes['layers']), out
        self.halves = ('3',) if sizes['num_halves'] == 1 else ('3_1', '3_2')
        norm = norms(dict(norm_cfg or dict(type='BN')))
        self.conv1 = nn.Sequential(*_stem(3, planes, norm), *_stem(planes, planes, norm))
        self.layer1 = layer(planes, planes, self.layers[0], norm=norm)
        self.layer2 = layer(planes, 2 * planes, self.layers[1], norm=norm, stride=2)
        depth = self.layers[2] // len(self.halves)
        for index, name in enumerate(self.halves):
            inputs, stride = (4 * planes, 1) if index else (2 * planes, 2)
            self._add_stage(name, inputs, 4 * planes, depth, norm=norm, stride=stride)
        self._add_stage('4', 4 * planes, 8 * planes, self.layers[3], norm=norm, stride=2)
        self.layer5 = nn.Sequential(Bottleneck(8 * planes, 8 * planes, norm=norm, stride=2))
        self.layer5_ = nn.Sequential(Bottleneck(detail, detail, norm=norm))
        self.spp = DAPPM(16 * planes, sizes['spp_planes'], 4 * planes, norm)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Returns the maps that ``out`` names."""
        self._check_batch(image)
        size = image.shape[-2] // STRIDE, image.shape[-1] // STRIDE
        first = self.layer1(self.conv1(image))
        context = detail = self.layer2(F.relu(first))
        for name in self.halves:
            stage3, context, detail = self._fused(name, context, detail, size)
        auxiliary = detail
        stage4, context, detail = self._fused('4', context, detail, size)
        pooled = self.spp(self.layer5(F.relu(context)))
        features = resize_to(pooled, size) + self.layer5_(F.relu(detail))
        if self.out == 'pyramid':
            return first, features, stage3, stage4
        return features, auxiliary

    def _add_stage(
        self, name: str, inputs: int, width: int, depth: int, *, norm: Norm, stride: int
    ) -> None:
        """Adds the layers of both branches, and the fusion behind them."""
        detail, near = 2 * self.planes, 4 * self.planes
        setattr(self, f'layer{name}', layer(inputs, width, depth, norm=norm, stride=stride))
        setattr(self, f'layer{name}_', layer(detail, detail, depth, norm=norm))
        setattr(self, f'compression{name}', nn.Sequential(conv(width, detail, 1), norm(detail)))
        steps = [conv(detail, near, 3, 2), norm(near)]
        if width != near:  # stage 4 lies two steps below the detail branch
            steps += [nn.ReLU(inplace=True), conv(near, width, 3, 2), norm(width)]
        setattr(self, f'down{name}', nn.Sequential(*steps))

    def _fused(
        self, name: str, context: Tensor, detail: Tensor, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the context branch's layer, and both branches after the fusion."""
        context = getattr(self, f'layer{name}')(F.relu(context))
        detail = getattr(self, f'layer{name}_')(F.relu(detail))
        down = getattr(self, f'down{name}')(F.relu(detail))
        up = getattr(self, f'compression{name}')(F.relu(context))
        return context, context + down, detail + resize_to(up, size)

    def _check_batch(self, image: Tensor) -> None:
        norm = self.spp.scale4[1]
        if len(image) == 1 and norm.training and type(norm) is nn.BatchNorm2d:
            raise UserError(
                'DualResNet trains with a batch of 1 image, but its batch norms need 2 or more, '
                'since one of them sees a globally pooled map: raise '
                'train_dataloader.batch_size, or set encoder.norm_cfg to GN'
            )


def _stem(inputs: int, planes: int, norm: Norm) -> list[nn.Module]:
    return [conv(inputs, planes, 3, 2, bias=True), norm(planes), nn.ReLU(inplace=True)]


def _sizes(arch: Any) -> dict[str, Any]:
    sizes = arch_sizes(arch, ARCHS, _ARCH_KEYS, optional=('num_halves',))
    sizes.setdefault('num_halves', 1)
    for key in ('planes', 'spp_planes', 'num_halves'):
        check_count(f'arch.{key}', sizes[key])
    layers, halves = sizes['layers'], sizes['num_halves']
    if not isinstance(layers, Sequence) or len(layers) != 4:
        raise UserError(f'encoder.arch.layers={layers!r}: expected the blocks of four stages')
    for index, depth in enumerate(layers):
        check_count(f'arch.layers[{index}]', depth)
    if halves > 2 or layers[2] % halves:
        raise UserError(
            f'encoder.arch.num_halves={halves!r}: expected 1, or 2 and an even number of blocks in '
            f'stage 3, not {layers[2]}'
        )
    return sizes
