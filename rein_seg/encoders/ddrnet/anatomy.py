"""Anatomy of DDRNet: the context branch carries the stream, the detail branch runs beside it.

B batch, C channels, H x W map.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from rein_seg.encoders.ddrnet.model import STRIDE, DualResNet
from rein_seg.encoders.sites import Place, norm_site, op_site, param_sites
from rein_seg.registry import register_anatomy
from rein_seg.structures import Anatomy, BranchSite, Site, StreamSite, Tap


@register_anatomy(DualResNet)
def ddrnet_anatomy(encoder: DualResNet) -> Anatomy:
    """Returns the anatomy of a DDRNet.

    Stages 0 to 3 are the context branch's ``layer1`` to ``layer4``; STREAM is there alone, and a
    stage after a fusion begins with both branches in it. A block of the detail branch has the
    number of its neighbour in the context branch. ``layer5`` and ``layer5_``, behind the last
    fusion, belong to no block. OP merge are the convolutions of the fusions. Layers end before
    their last ReLU, so the stream that leaves them has negative values.
    """
    planes = encoder.planes
    widths = (planes, 2 * planes, 4 * planes, 8 * planes)
    places = dict(_context_places(encoder, widths))
    beside = dict(_places_beside(encoder, places))
    sites: list[Site] = [*param_sites(encoder, {**places, **beside})]
    for name in _forward_order(encoder):
        blocks = {key: place for key, place in {**places, **beside}.items() if _list(key) == name}
        if not blocks:
            sites += _sequence_sites(encoder, name, _stage_of(name))
        for key, place in blocks.items():
            sites += _block_sites(encoder, key, place, stream=key in places)
    maps = (4 * planes, 2 * planes), (STRIDE, STRIDE)
    if encoder.out == 'pyramid':
        maps = (planes, 4 * planes, 4 * planes, 8 * planes), (4, STRIDE, 16, 32)
    return Anatomy(
        family='ddrnet',
        sites=tuple(sites),
        num_prefix=0,
        patch_size=4,
        out_channels=maps[0],
        out_strides=maps[1],
        stage_depths=encoder.layers,
        stage_channels=widths,
        divisor=STRIDE,
    )


def _context_places(encoder: DualResNet, widths: tuple[int, ...]) -> Iterator[tuple[str, Place]]:
    """Yields the blocks of the context branch, up to the last fusion, with their places."""
    block, depths = 0, [0] * len(widths)
    for name in ('1', '2', *encoder.halves, '4'):
        stage = int(name[0]) - 1
        for index in range(len(encoder.get_submodule(f'layer{name}'))):
            yield f'layer{name}.{index}', (block, stage, depths[stage], widths[stage])
            block, depths[stage] = block + 1, depths[stage] + 1


def _places_beside(encoder: DualResNet, places: dict[str, Place]) -> Iterator[tuple[str, Place]]:
    """Yields the blocks of the detail branch and those behind the last fusion."""
    for name, place in places.items():
        stage, _, index = name.partition('.')
        if stage not in ('layer1', 'layer2'):
            yield f'{stage}_.{index}', (*place[:3], 2 * encoder.planes)
    for name, width in (('layer5', 16), ('layer5_', 4)):
        yield f'{name}.0', (-1, 3, -1, width * encoder.planes)


def _forward_order(encoder: DualResNet) -> list[str]:
    """Returns the names of the network's parts as they run."""
    fused = [
        part.format(name)
        for name in (*encoder.halves, '4')
        for part in ('layer{}', 'layer{}_', 'down{}', 'compression{}')
    ]
    return ['conv1', 'layer1', 'layer2', *fused, 'layer5', 'spp', 'layer5_']


def _list(block: str) -> str:
    return block.partition('.')[0]


def _stage_of(name: str) -> int:
    return {'conv1': 0, 'spp': 3}.get(name, 3 if name.endswith('4') else 2)


def _sequence_sites(encoder: DualResNet, name: str, stage: int) -> list[Site]:
    """Returns the sites of the stem, of one half of a fusion, or of the pyramid."""
    role = {'conv1': 'patch', 'spp': 'spp'}.get(name, 'merge')
    sites: list[Site] = []
    for path, module in encoder.get_submodule(name).named_modules(prefix=name):
        if isinstance(module, nn.Conv2d):
            sites.append(op_site(encoder, path, role, (-1, stage, -1, module.out_channels)))
        elif 'Norm' in type(module).__name__:
            sites.append(norm_site(encoder, path, role, (-1, stage, -1, -1), layout='NCHW'))
    return sites


def _block_sites(encoder: DualResNet, name: str, place: Place, *, stream: bool) -> list[Site]:
    block = encoder.get_submodule(name)
    numbers = (1, 2, 3) if hasattr(block, 'conv3') else (1, 2)
    spatial = numbers[-2]
    inner, after = (block.get_submodule(f'conv{n}') for n in (spatial, spatial + 1))
    sites: list[Site] = []
    for n in numbers:
        sites.append(op_site(encoder, f'{name}.conv{n}', f'conv{n}', place))
        sites.append(norm_site(encoder, f'{name}.bn{n}', f'bn{n}', place, layout='NCHW'))
    sites.append(
        BranchSite(
            *place[:3],
            inner.in_channels,
            'conv',
            entry_raw=Tap(inner, 'input', 'NCHW'),
            entry_norm=None,
            exit_pre=Tap(after, 'input', 'NCHW'),
            exit_post=None,
            conv=inner,
            beside='' if stream else name,
        )
    )
    if block.downsample is not None:
        sites.append(op_site(encoder, f'{name}.downsample.0', 'downsample', place))
        norm = f'{name}.downsample.1'
        sites.append(norm_site(encoder, norm, 'downsample', place, layout='NCHW'))
    if not stream:
        return sites
    # the input of a stage's first block has the width of the stage before
    into = (*place[:3], block.conv1.in_channels)
    entry = StreamSite(*into, 'in', (Tap(block, 'input', 'NCHW'),))
    return [entry, *sites, StreamSite(*place, 'out', (Tap(block, 'output', 'NCHW'),))]
