"""Plain vision transformers of mmpretrain: ViT, DINOv2 (LayerScale, SwiGLU), CLIP's tower.

The token sequence is (B, P+N, C) with the prefix first; blocks are pre-norm. Module names
follow mmpretrain 1.3.6.
"""

from __future__ import annotations

from torch import nn

from rein_seg.encoders.checks import check_out_indices
from rein_seg.encoders.masked_attention import MaskedFunction
from rein_seg.encoders.plain_vit.joint import joint_sites
from rein_seg.encoders.plain_vit.model import PlainViT
from rein_seg.encoders.sites import Place, norm_site, op_site, param_sites
from rein_seg.registry import register_anatomy
from rein_seg.structures import (
    Anatomy,
    BranchSite,
    SeqSite,
    Site,
    StreamSite,
    Tap,
)


@register_anatomy('mmpretrain.VisionTransformer')
def vit_anatomy(encoder: nn.Module) -> Anatomy:
    """Returns the anatomy of a mmpretrain `VisionTransformer` or a `PlainViT`.

    Raises:
        UserError: If ``out_indices`` goes beyond the depth.

    Example:
        >>> from rein_seg.encoders.plain_vit import TinyViT
        >>> from rein_seg.encoders.plain_vit.anatomy import vit_anatomy
        >>> anatomy = vit_anatomy(TinyViT(out_indices=[1, 3]))
        >>> anatomy.num_blocks, anatomy.num_prefix, anatomy.out_strides
        (4, 1, (8, 8))
    """
    channels = encoder.embed_dims
    outputs = check_out_indices(encoder.out_indices, len(encoder.layers), unit='blocks')
    ours = isinstance(encoder, PlainViT)
    joint = encoder.joint if ours else None
    # blocks that are not run change nothing: without a site nothing trains there
    depth = encoder.num_run if ours else outputs[-1] + 1
    patch = int(encoder.patch_embed.projection.stride[0])
    places = {f'layers.{i}': (i, 0, i, channels) for i in range(depth)}
    # mmpretrain's own class norms the output of its last block alone
    norm_acts = ours or depth == len(encoder.layers)
    sites: list[Site] = [*param_sites(encoder, places, unused=() if norm_acts else ('ln1.',))]
    sites.append(op_site(encoder, 'patch_embed.projection', 'patch', (-1, -1, -1, channels)))
    if not isinstance(encoder.pre_norm, nn.Identity):
        sites.append(norm_site(encoder, 'pre_norm', 'pre', (-1, -1, -1, channels)))
    for name, place in places.items():
        sites += _block_sites(encoder, name, place)
    if encoder.final_norm and norm_acts:
        sites.append(norm_site(encoder, 'ln1', 'final', (-1, -1, -1, channels)))
    if joint is not None:
        sites += joint_sites(encoder)
    return Anatomy(
        family='vit',
        sites=tuple(sites),
        num_prefix=encoder.num_prefix if ours else encoder.num_extra_tokens,
        patch_size=patch,
        out_channels=(channels,) * len(outputs),
        out_strides=(patch,) * len(outputs),
        stage_depths=(depth,),
        stage_channels=(channels,),
        grid_module=encoder.patch_embed,
        divisor=patch,
        no_maps=None if encoder.out_type == 'featmap' else _no_maps(encoder.out_type),
        joint_dims=None if joint is None else joint.dims,
        out_taps=tuple(Tap(encoder.layers[i], 'output', 'NLC') for i in sorted(outputs)),
        norms_maps=encoder.final_norm and (ours or outputs == (depth - 1,) and norm_acts),
        num_heads=encoder.layers[0].attn.num_heads,
    )


def _no_maps(out_type: str) -> str:
    return f'encoder.out_type={out_type!r} gives no feature maps: set out_type="featmap"'


def _block_sites(encoder: nn.Module, name: str, place: Place) -> list[Site]:
    block = encoder.get_submodule(name)
    swiglu = hasattr(block.ffn, 'w12')
    fc1, fc2 = ('ffn.w12', 'ffn.w3') if swiglu else ('ffn.layers.0.0', 'ffn.layers.1')

    def tap(path: str, side: str) -> Tap:
        return Tap(block.get_submodule(path) if path else block, side, 'NLC')

    def branch(kind: str, norm: str, scale: str) -> BranchSite:
        entries = tap(norm, 'input'), tap(norm, 'output')
        return BranchSite(*place, kind, *entries, tap(scale, 'input'), tap(scale, 'output'))

    return [
        StreamSite(*place, 'in', (tap('', 'input'),)),
        norm_site(encoder, f'{name}.ln1', 'norm1', place),
        op_site(encoder, f'{name}.attn.qkv', 'qkv', place, ('q', 'k', 'v')),
        op_site(encoder, f'{name}.attn.proj', 'proj', place),
        branch('attn', 'ln1', 'attn.gamma1'),
        StreamSite(*place, 'mid', (tap('ln2', 'input'), tap('', 'output'))),
        norm_site(encoder, f'{name}.ln2', 'norm2', place),
        op_site(encoder, f'{name}.{fc1}', 'fc1', place, ('gate', 'value') if swiglu else ()),
        op_site(encoder, f'{name}.{fc2}', 'fc2', place),
        branch('ffn', 'ln2', 'ffn.gamma2'),
        SeqSite(
            *place,
            entry=tap('', 'input'),
            exit=tap('', 'output'),
            masking=MaskedFunction(block.attn, 'scaled_dot_product_attention'),
        ),
        StreamSite(*place, 'out', (tap('', 'output'),)),
    ]
