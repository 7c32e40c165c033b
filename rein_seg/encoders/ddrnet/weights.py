"""Files of DDRNet into `DualResNet`: the official ones, and mmseg's names.

p planes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from rein_seg.encoders.ddrnet.model import ARCHS, DualResNet
from rein_seg.encoders.weights import HEADS, Converted, leave_out, rename, strip_prefix
from rein_seg.errors import UserError
from rein_seg.registry import register_key_map

_MMSEG = (
    (r'^stem\.0\.conv\.', 'conv1.0.'),
    (r'^stem\.0\.bn\.', 'conv1.1.'),
    (r'^stem\.1\.conv\.', 'conv1.3.'),
    (r'^stem\.1\.bn\.', 'conv1.4.'),
    (r'^stem\.2\.', 'layer1.'),
    (r'^stem\.4\.', 'layer2.'),
    *((rf'^context_branch_layers\.{i}\.', f'layer{i + 3}.') for i in range(3)),
    *((rf'^spatial_branch_layers\.{i}\.', f'layer{i + 3}_.') for i in range(3)),
    (r'^(compression|down)_1\.conv\.', r'\g<1>3.0.'),
    (r'^(compression|down)_1\.bn\.', r'\g<1>3.1.'),
    (r'^compression_2\.conv\.', 'compression4.0.'),
    (r'^compression_2\.bn\.', 'compression4.1.'),
    (r'^down_2\.0\.conv\.', 'down4.0.'),
    (r'^down_2\.0\.bn\.', 'down4.1.'),
    (r'^down_2\.1\.conv\.', 'down4.3.'),
    (r'^down_2\.1\.bn\.', 'down4.4.'),
    (r'^spp\.scales\.0\.bn\.', 'spp.scale0.0.'),
    (r'^spp\.scales\.0\.conv\.', 'spp.scale0.2.'),
    (r'^spp\.scales\.(\d)\.1\.bn\.', r'spp.scale\1.1.'),
    (r'^spp\.scales\.(\d)\.1\.conv\.', r'spp.scale\1.3.'),
    *((rf'^spp\.processes\.{i}\.bn\.', f'spp.process{i + 1}.0.') for i in range(4)),
    *((rf'^spp\.processes\.{i}\.conv\.', f'spp.process{i + 1}.2.') for i in range(4)),
    (r'^spp\.(compression|shortcut)\.bn\.', r'spp.\1.0.'),
    (r'^spp\.(compression|shortcut)\.conv\.', r'spp.\1.2.'),
    (r'^(layer\w+\.\d+)\.conv(\d)\.conv\.', r'\1.conv\2.'),
    (r'^(layer\w+\.\d+)\.conv(\d)\.bn\.', r'\1.bn\2.'),
)
_HEADS = '|'.join(map(re.escape, (*HEADS, 'final_layer.', 'seghead_extra.', 'loss.')))


@register_key_map(DualResNet)
def convert_ddrnet(encoder: DualResNet, state: dict[str, Tensor]) -> Converted:
    """Converts a file of DDRNet as its authors or mmseg write it.

    The encoder can stand below any prefix (``module.``, ``model.``, ``backbone.``). Heads of
    segmentation are left out. A classifier of ImageNet has no pyramid (``spp``), which starts with
    random weights, the same on each load; everything that the encoder lacks is left out of it. In
    mmseg's files the biases of the stem are part of its batch norms: they become zero.

    Raises:
        UserError: If the file is of another variant.
    """
    mmseg = any(name.endswith('stem.0.conv.weight') for name in state)
    anchor = 'stem.0.conv.weight' if mmseg else 'conv1.0.weight'
    tensors, heads = leave_out(strip_prefix(state, anchor), _HEADS)
    if mmseg:
        tensors = rename(tensors, _MMSEG)
        for name in ('conv1.0', 'conv1.3'):
            if f'{name}.weight' in tensors and f'{name}.bias' not in tensors:
                width = tensors[f'{name}.weight'].shape[0]
                tensors[f'{name}.bias'] = torch.zeros(width)
    _check_variant(encoder, tensors)
    if any(name.startswith('spp.') for name in tensors):
        return Converted(tensors, left_out=heads)
    own = encoder.state_dict()
    unused = tuple(name for name in tensors if name.partition('.')[0] not in encoder._modules)
    tensors = {name: value for name, value in tensors.items() if name not in unused}
    tensors |= _random_pyramid(own)
    return Converted(tensors, left_out=(*heads, *unused), filled=('spp.*',))


def _check_variant(encoder: DualResNet, tensors: Mapping[str, Tensor]) -> None:
    """Checks width and structure of a file that is recognised as DDRNet's."""
    first = tensors.get('conv1.0.weight')
    if first is None:
        return
    halves = ('3_1', '3_2') if 'layer3_1.0.conv1.weight' in tensors else ('3',)
    found, wanted = _variant(first.shape[0], halves), _variant(encoder.planes, encoder.halves)
    if found != wanted:
        name = next((key for key, title in _TITLES.items() if title == found), None)
        way = f'set encoder.arch={name!r}, or ' if name else ''
        raise UserError(
            f'the weights file is of {found}, the encoder is {wanted}: {way}take the file of '
            f'{wanted}'
        )


_TITLES = {'23_slim': 'DDRNet-23-slim', '23': 'DDRNet-23', '39': 'DDRNet-39'}


def _variant(planes: int, halves: tuple[str, ...]) -> str:
    for name, sizes in ARCHS.items():
        if (sizes['planes'], sizes['num_halves']) == (planes, len(halves)):
            return _TITLES[name]
    return f'a DDRNet with planes={planes}, num_halves={len(halves)}'


def _random_pyramid(own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns weights of the pyramid: norms as the identity, convolutions as at the start."""
    generator, drawn = torch.Generator().manual_seed(0), {}
    for name, value in own.items():
        if name.startswith('spp.') and value.dim() == 4:
            std = math.sqrt(2 / (value.shape[0] * value[0, 0].numel()))
            drawn[name] = torch.randn(value.shape, generator=generator) * std
        elif name.startswith('spp.'):
            ones = name.endswith(('weight', 'running_var'))
            drawn[name] = torch.full(value.shape, float(ones)).to(value.dtype)
    return drawn
