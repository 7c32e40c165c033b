"""Anatomy of ResNetV2: the streams, norms and spatial convolutions of its blocks.

B batch, C channels, H x W map.
"""

from __future__ import annotations

from rein_seg.encoders.resnetv2.model import Bottleneck, ResNetV2
from rein_seg.encoders.sites import Place, norm_site, param_sites
from rein_seg.registry import register_anatomy
from rein_seg.structures import Anatomy, BranchSite, Site, StreamSite, Tap


@register_anatomy(ResNetV2)
def resnetv2_anatomy(encoder: ResNetV2) -> Anatomy:
    """Returns the anatomy of a ResNetV2.

    It has no OP sites: a filter is standardised when it is used, so that adding an update to it, or
    scaling it, is not the same as changing the output. Methods that change weights in that way
    (LoRA, DoRA, SVF and others) find no target. Streams, norms, branches and parameters are there.

    Example:
        >>> from rein_seg.encoders import build_encoder, find_anatomy
        >>> encoder, _ = build_encoder(dict(type='ResNetV2', depths=[1, 2, 1], init_seed=0))
        >>> anatomy = find_anatomy(encoder)
        >>> anatomy.out_channels, anatomy.out_strides, anatomy.num_blocks
        ((64, 256, 512, 1024), (2, 4, 8, 16), 4)
    """
    last = max(encoder.out_indices)
    places: dict[str, Place] = {}
    widths = [encoder.stem.norm.num_channels]
    for stage, module in enumerate(encoder.stages[:last]):
        widths.append(module['blocks'][-1].norm3.num_channels)
        for index in range(len(module['blocks'])):
            places[f'stages.{stage}.blocks.{index}'] = (len(places), stage, index, widths[-1])
    sites: list[Site] = [
        *param_sites(encoder, places, unused=('stages.',) if not places else ()),
        norm_site(encoder, 'stem.norm', 'stem', (-1, 0, -1, -1), layout='NCHW'),
    ]
    for name, place in places.items():
        sites += _block_sites(encoder, name, place)
    return Anatomy(
        family='resnetv2',
        sites=tuple(sites),
        num_prefix=0,
        patch_size=2,
        out_channels=tuple(widths[index] for index in encoder.out_indices),
        out_strides=tuple(2 ** (index + 1) for index in encoder.out_indices),
        stage_depths=encoder.depths[:last],
        stage_channels=tuple(widths[1:]),
        # two steps of the last map: a group norm refuses a single value
        least_side=2 ** (last + 2),
    )


def _block_sites(encoder: ResNetV2, name: str, place: Place) -> list[Site]:
    block = encoder.get_submodule(name)
    assert isinstance(block, Bottleneck)
    into = (*place[:3], block.conv1.in_channels)
    sites: list[Site] = [StreamSite(*into, 'in', (Tap(block, 'input', 'NCHW'),))]
    names = [f'norm{n}' for n in (1, 2, 3)]
    names += ['downsample.norm'] if block.downsample is not None else []
    for norm in names:
        role = norm.partition('.')[0]
        sites.append(norm_site(encoder, f'{name}.{norm}', role, place, layout='NCHW'))
    sites.append(
        BranchSite(
            *place[:3],
            block.conv2.in_channels,
            'conv',
            entry_raw=Tap(block.conv2, 'input', 'NCHW'),
            entry_norm=None,
            exit_pre=Tap(block.conv3, 'input', 'NCHW'),
            exit_post=None,
            conv=block.conv2,
        )
    )
    return [*sites, StreamSite(*place, 'out', (Tap(block, 'output', 'NCHW'),))]
