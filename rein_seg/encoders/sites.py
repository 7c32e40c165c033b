"""Builds the sites of an anatomy, from the modules of an encoder."""

from __future__ import annotations

from typing import Literal

from torch import nn

from rein_seg.structures import (
    BranchSite,
    Layout,
    NormSite,
    OpSite,
    ParamSite,
    SeqSite,
    Side,
    Site,
    StreamSite,
    Tap,
)

Place = tuple[int, int, int, int]  # block, stage, depth, channels: the first fields of a site


def op_site(
    encoder: nn.Module,
    name: str,
    role: str,
    place: Place,
    parts: tuple[str, ...] = (),
    *,
    layout: Layout | None = None,
) -> OpSite:
    """Returns the OP site of a linear or convolution.

    Args:
        encoder: The encoder.
        name: Module name in it.
        role: See `OpSite`.
        place: Block, stage, depth and channels.
        parts: Names of the equal slices of its output channels.
        layout: Layout of its output; None takes NCHW for a convolution, NLC for a linear.

    Example:
        >>> from rein_seg.encoders.plain_vit import TinyViT
        >>> from rein_seg.encoders.sites import op_site
        >>> site = op_site(TinyViT(), 'layers.0.attn.qkv', 'qkv', (0, 0, 0, 192), ('q', 'k', 'v'))
        >>> str(site), site.parts
        ('OpSite(block=0, role=qkv, name=layers.0.attn.qkv)',
         (('q', 0, 192), ('k', 192, 384), ('v', 384, 576)))
    """
    module = encoder.get_submodule(name)
    own: Layout = 'NCHW' if isinstance(module, nn.Conv2d) else 'NLC'
    width = module.weight.shape[0] // len(parts) if parts else 0
    slices = tuple((part, i * width, (i + 1) * width) for i, part in enumerate(parts))
    return OpSite(*place, role, name, Tap(module, 'output', layout or own), slices)


def norm_site(
    encoder: nn.Module, name: str, role: str, place: Place, *, layout: Layout = 'NLC'
) -> NormSite:
    """Returns the NORM site of the module ``name``, as wide as its own weight."""
    module = encoder.get_submodule(name)
    width = module.weight.shape[0]
    return NormSite(*place[:3], width, role, name, Tap(module, 'output', layout))


def map_block_sites(
    encoder: nn.Module,
    name: str,
    place: Place,
    *,
    norms: tuple[str, str],
    merging: nn.Module | None = None,
) -> list[Site]:
    """Returns the sites of a mmpretrain block whose stream is (B, H, W, C), as in SAM and Swin.

    Args:
        encoder: The encoder.
        name: Module name of the block, whose attention sees the whole map and cuts the windows.
        place: Block, stage, depth and channels.
        norms: Names of its two norms.
        merging: See `SeqSite`.
    """
    block = encoder.get_submodule(name)
    norm1, norm2 = norms

    def tap(path: str, side: Side) -> Tap:
        return Tap(block.get_submodule(path) if path else block, side, 'NHWC')

    def op(path: str, role: str, parts: tuple[str, ...] = ()) -> Site:
        return op_site(encoder, f'{name}.{path}', role, place, parts, layout='NHWC')

    def branch(kind: Literal['attn', 'ffn'], norm: str, exit_: str) -> Site:
        raw, normed = tap(norm, 'input'), tap(norm, 'output')
        return BranchSite(*place, kind, raw, normed, exit_pre=tap(exit_, 'output'), exit_post=None)

    return [
        StreamSite(*place, 'in', (tap('', 'input'),)),
        norm_site(encoder, f'{name}.{norm1}', 'norm1', place, layout='NHWC'),
        op('attn.qkv', 'qkv', ('q', 'k', 'v')),
        op('attn.proj', 'proj'),
        branch('attn', norm1, 'attn'),
        StreamSite(*place, 'mid', (tap(norm2, 'input'), tap('', 'output'))),
        norm_site(encoder, f'{name}.{norm2}', 'norm2', place, layout='NHWC'),
        op('ffn.layers.0.0', 'fc1'),
        op('ffn.layers.1', 'fc2'),
        branch('ffn', norm2, 'ffn.gamma2'),
        SeqSite(
            *place,
            entry=tap('', 'input'),
            exit=tap('', 'output'),
            merging=merging,
            why_no_mask='its attention has windows and tables of relative positions, and a mask '
            'has no rule for them',
        ),
        StreamSite(*place, 'out', (tap('', 'output'),)),
    ]


def param_sites(
    encoder: nn.Module,
    places: dict[str, Place],
    *,
    unused: tuple[str, ...] = (),
) -> tuple[ParamSite, ...]:
    """Returns a PARAM site for every parameter of ``encoder`` that its outputs depend on.

    Args:
        encoder: The encoder.
        places: Module name of each block -> (block, stage, depth, channels), up to the block of
            the last output; parameters of later blocks get no site. Modules beside the blocks,
            such as a merging of patches, can be listed, too.
        unused: Names of further modules behind the last output.
    """
    # a parameter in a list of blocks, but in no listed block, lies behind the last output
    lists = tuple({f'{_list_of(name)}.' for name in places})
    norms = {
        name
        for name, module in encoder.named_modules()
        if 'Norm' in type(module).__name__ and len(list(module.children())) == 0
    }
    sites = []
    for name, param in encoder.named_parameters():
        owner = next((p for p in places if name.startswith(p + '.')), None)
        if owner is None and name.startswith((*lists, *unused)):
            continue
        block, stage, depth, channels = places[owner] if owner else (-1, -1, -1, param.shape[-1])
        holder = encoder.get_submodule(name.rpartition('.')[0])
        role = _role(name, param, norms)
        sites.append(ParamSite(block, stage, depth, channels, name, role, param, holder))
    return tuple(sites)


def _list_of(block: str) -> str:
    """Returns the name of the list that all blocks are in."""
    parts = block.split('.')
    numbered = (i for i, part in enumerate(parts) if part.isdigit())
    return '.'.join(parts[: next(numbered, len(parts) - 1)])


def _role(name: str, param: nn.Parameter, norms: set[str]) -> str:
    owner, _, leaf = name.rpartition('.')
    if leaf.startswith(('pos_embed', 'positional_embedding', 'rel_pos_', 'relative_position_')):
        return 'pos'
    if 'position_embedding' in name:  # CLIP's is a module
        return 'pos'
    if leaf.endswith(('token', 'tokens', 'class_embedding')):
        return 'token'
    if owner in norms:
        return 'norm_bias' if leaf == 'bias' else 'norm'
    if leaf.endswith('bias'):
        return 'bias'
    # LayerScale is a vector called gamma (ConvNeXt) or the weight of a module called gamma1, gamma2
    return 'scale' if param.dim() <= 1 or leaf == 'layer_scale' else 'weight'
