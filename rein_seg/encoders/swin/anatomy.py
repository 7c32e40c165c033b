"""Anatomy of Swin.

B batch, C channels, H x W grid, w window side, nW windows of an image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rein_seg.encoders.sites import Place, map_block_sites, norm_site, op_site, param_sites
from rein_seg.encoders.swin.model import Swin
from rein_seg.registry import register_anatomy
from rein_seg.structures import Anatomy, Site


@register_anatomy(Swin)
def swin_anatomy(encoder: Swin) -> Anatomy:
    """Returns the anatomy of a Swin transformer.

    The stream, both branches and the merging are (B, H, W, C), whose shape shows the grid of the
    stage. Inside the attention, OP qkv and proj see (B nW, w, w, C), zero padding included. The
    layout is NHWC as well: a method treats each window as an image. SEQ tokens lie in rows below
    the map.
    """
    outputs, patch = encoder.out_indices, encoder.patch_embed.projection.stride[0]
    depths = tuple(encoder.depths[: outputs[-1] + 1])  # no site beyond the last output
    widths = tuple(encoder.embed_dims * 2**stage for stage in range(len(depths)))
    blocks = _block_places(depths, widths)
    mergings = {
        f'stages.{stage - 1}.downsample': (-1, stage, -1, widths[stage])
        for stage in range(1, len(depths))
    }
    sites: list[Site] = [*param_sites(encoder, {**blocks, **mergings})]
    for stage, width in enumerate(widths):
        inside = {name: place for name, place in blocks.items() if place[1] == stage}
        sites += _stage_sites(encoder, stage, width, inside)
    return Anatomy(
        family='swin',
        sites=tuple(sites),
        num_prefix=0,
        patch_size=patch,
        out_channels=tuple(widths[stage] for stage in outputs),
        out_strides=tuple(patch * 2**stage for stage in outputs),
        stage_depths=depths,
        stage_channels=widths,
        state=encoder.state,
    )


def _block_places(depths: Sequence[int], widths: Sequence[int]) -> dict[str, Place]:
    numbered = [(stage, index) for stage, depth in enumerate(depths) for index in range(depth)]
    return {
        f'stages.{stage}.blocks.{index}': (block, stage, index, widths[stage])
        for block, (stage, index) in enumerate(numbered)
    }


def _stage_sites(encoder: Swin, stage: int, width: int, blocks: Mapping[str, Place]) -> list[Site]:
    place = (-1, stage, -1, width)
    if stage == 0:
        merging = None
        sites: list[Site] = [
            op_site(encoder, 'patch_embed.projection', 'patch', place),
            norm_site(encoder, 'patch_embed.norm', 'patch', place, layout='NHWC'),
        ]
    else:  # mmpretrain counts a merging to the stage before
        name = f'stages.{stage - 1}.downsample'
        merging = encoder.get_submodule(name)
        sites = [
            norm_site(encoder, f'{name}.norm', 'merge', place, layout='NHWC'),
            op_site(encoder, f'{name}.reduction', 'merge', place, layout='NHWC'),
        ]
    norms = ('norm1', 'norm2')
    for index, (name, block) in enumerate(blocks.items()):
        first = merging if index == 0 else None
        sites += map_block_sites(encoder, name, block, norms=norms, merging=first)
    if stage in encoder.out_indices:
        sites.append(norm_site(encoder, f'norm{stage}', 'final', place, layout='NHWC'))
    return sites
