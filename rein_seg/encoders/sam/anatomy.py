"""Anatomy of SAM's image encoder.

B batch, C channels, H x W grid, w window side, nW windows of an image.
"""

from __future__ import annotations

from torch import nn

from rein_seg.encoders.sam.model import SAMViT
from rein_seg.encoders.sites import Place, map_block_sites, norm_site, op_site, param_sites
from rein_seg.registry import register_anatomy
from rein_seg.structures import Anatomy, Site


@register_anatomy(SAMViT)
def sam_anatomy(encoder: SAMViT) -> Anatomy:
    """Returns the anatomy of SAM's encoder.

    The stream and both branches are (B, H, W, C) in every block. Inside the attention of a windowed
    block, OP qkv and proj see (B nW, w, w, C), zero padding included. The layout is NHWC as well: a
    method treats each window as an image. SEQ tokens lie in rows below the map.
    """
    channels, outputs = encoder.embed_dims, encoder.out_indices
    depth, patch = outputs[-1] + 1, encoder.patch_embed.projection.stride[0]
    places = {f'layers.{i}': (i, 0, i, channels) for i in range(depth)}
    sites: list[Site] = [*param_sites(encoder, places)]
    sites.append(op_site(encoder, 'patch_embed.projection', 'patch', (-1, -1, -1, channels)))
    for name, place in places.items():
        sites += map_block_sites(encoder, name, place, norms=('ln1', 'ln2'))
    widths = [channels] * len(outputs)
    if encoder.neck:
        widths[-1] = encoder.out_channels
        sites += _neck_sites(encoder, (-1, -1, -1, encoder.out_channels))
    return Anatomy(
        family='vit_sam',
        sites=tuple(sites),
        num_prefix=0,
        patch_size=patch,
        out_channels=tuple(widths),
        out_strides=(patch,) * len(outputs),
        stage_depths=(depth,),
        stage_channels=(channels,),
        divisor=patch,
        state=encoder.state,
        num_heads=encoder.layers[0].attn.num_heads,
    )


def _neck_sites(encoder: nn.Module, place: Place) -> list[Site]:
    name = 'channel_reduction'
    return [
        op_site(encoder, f'{name}.0', 'neck', place),
        norm_site(encoder, f'{name}.1', 'neck', place, layout='NCHW'),
        op_site(encoder, f'{name}.2', 'neck', place),
        norm_site(encoder, f'{name}.3', 'neck', place, layout='NCHW'),
    ]
