"""The vision transformer of torchvision.

Its attention uses the weights of q, k, v and the output projection without calling a module, so
these are no OP sites. The token sequence is (B, 1+N, C), the class token first.
"""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from rein_seg.encoders.masked_attention import MaskedKeyword, hidden
from rein_seg.encoders.sites import Place, norm_site, op_site, param_sites
from rein_seg.registry import register_anatomy
from rein_seg.structures import (
    Anatomy,
    BranchSite,
    ParamSite,
    SeqSite,
    Side,
    Site,
    StreamSite,
    Tap,
)

_BLOCKS = 'encoder.layers.encoder_layer_'


@register_anatomy('torchvision.VisionTransformer')
def torchvision_vit_anatomy(encoder: nn.Module) -> Anatomy:
    """Returns the anatomy of a torchvision `VisionTransformer`; its head has no sites.

    Example:
        >>> from torchvision.models import VisionTransformer
        >>> from rein_seg.encoders import find_anatomy
        >>> anatomy = find_anatomy(VisionTransformer(32, 8, 2, 2, 32, 64))
        >>> anatomy.num_blocks, anatomy.num_prefix, anatomy.patch_size
        (2, 1, 8)
    """
    channels, patch, depth = encoder.hidden_dim, encoder.patch_size, len(encoder.encoder.layers)
    places = {f'{_BLOCKS}{i}': (i, 0, i, channels) for i in range(depth)}
    outside = (-1, -1, -1, channels)
    params = param_sites(encoder, places, unused=('heads.',))
    sites: list[Site] = [_used(encoder, site) for site in params]
    if isinstance(encoder.conv_proj, nn.Conv2d):  # not a stem of several convolutions
        sites.append(op_site(encoder, 'conv_proj', 'patch', outside))
    for name, place in places.items():
        sites += _block_sites(encoder, name, place)
    sites.append(norm_site(encoder, 'encoder.ln', 'final', outside))
    return Anatomy(
        family='torchvision_vit',
        sites=tuple(sites),
        num_prefix=1,
        patch_size=patch,
        out_channels=(channels,),
        out_strides=(patch,),
        stage_depths=(depth,),
        stage_channels=(channels,),
        grid_module=encoder.conv_proj,
        num_heads=encoder.encoder.layers[0].num_heads,
    )


def _used(encoder: nn.Module, site: ParamSite) -> ParamSite:
    """Returns the site of a parameter with the module that uses it."""
    name, _, projection = site.name.rpartition('.')[0].rpartition('.')
    return replace(site, user=encoder.get_submodule(name)) if projection == 'out_proj' else site


def _block_sites(encoder: nn.Module, name: str, place: Place) -> list[Site]:
    block = encoder.get_submodule(name)

    def tap(path: str, side: Side) -> Tap:
        return Tap(block.get_submodule(path) if path else block, side, 'NLC')

    def branch(kind: str, norm: str, leaves: str) -> BranchSite:
        entries = tap(norm, 'input'), tap(norm, 'output')
        return BranchSite(*place, kind, *entries, exit_pre=tap(leaves, 'output'), exit_post=None)

    linears = [i for i, part in enumerate(block.mlp) if isinstance(part, nn.Linear)]
    return [
        StreamSite(*place, 'in', (tap('', 'input'),)),
        norm_site(encoder, f'{name}.ln_1', 'norm1', place),
        branch('attn', 'ln_1', 'dropout'),
        StreamSite(*place, 'mid', (tap('ln_2', 'input'), tap('', 'output'))),
        norm_site(encoder, f'{name}.ln_2', 'norm2', place),
        *(
            op_site(encoder, f'{name}.mlp.{i}', role, place)
            for i, role in zip(linears, ('fc1', 'fc2'), strict=True)
        ),
        branch('ffn', 'ln_2', 'mlp'),
        SeqSite(
            *place,
            entry=tap('', 'input'),
            exit=tap('', 'output'),
            masking=MaskedKeyword(block.self_attention, 'attn_mask', hidden),
        ),
        StreamSite(*place, 'out', (tap('', 'output'),)),
    ]
