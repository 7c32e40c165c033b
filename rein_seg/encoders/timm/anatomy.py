"""Anatomy of a vision transformer of timm, in a `TimmEncoder` or as timm builds it.

The token sequence is (B, P+N, C) with the prefix first; blocks are pre-norm.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import nn

from rein_seg.encoders.masked_attention import MaskedKeyword, seen
from rein_seg.encoders.sites import Place, norm_site, op_site, param_sites
from rein_seg.encoders.timm.model import TimmEncoder, check_plain, count_prefix, is_biased
from rein_seg.registry import register_anatomy
from rein_seg.structures import (
    Anatomy,
    BranchSite,
    NormSite,
    ParamSite,
    SeqSite,
    Site,
    StreamSite,
    Tap,
)

# classes of attention with an argument attn_mask: PyTorch's, True where a token is seen
_MASKED = ('Attention', 'AttentionRope', 'EvaAttention', 'DiffAttention', 'BiasedAttention')
_HEADS = ('head.', 'head_dist.', 'fc_norm.', 'attn_pool.')


@register_anatomy(TimmEncoder)
def timm_anatomy(encoder: nn.Module) -> Anatomy:
    """Returns the anatomy of a `TimmEncoder`."""
    patch, outputs = encoder.grid.patch_size, len(encoder.out_indices)
    # blocks behind the last output change nothing: without a site nothing trains there
    bare = _model_anatomy(
        encoder.model,
        depth=encoder.out_indices[-1] + 1,
        inside='model.',
        norm=encoder.final_norm,
    )
    channels = encoder.model.embed_dim
    # TimmEncoder calls a method of the model, not the model: hooks on the model would not run
    sites = tuple(
        replace(site, user=encoder, until=None)
        if isinstance(site, ParamSite) and site.owner is encoder.model
        else site
        for site in bare.sites
    )
    return replace(
        bare,
        sites=sites,
        patch_size=patch,
        out_channels=(channels,) * outputs,
        out_strides=(patch,) * outputs,
        grid_module=encoder.grid,
        divisor=patch,
        out_taps=tuple(Tap(encoder.model.blocks[i], 'output', 'NLC') for i in encoder.out_indices),
        norms_maps=encoder.final_norm,
    )


@register_anatomy(
    'timm.VisionTransformer', 'timm.VisionTransformerDistilled', 'timm.Eva', 'timm.Beit'
)
def timm_model_anatomy(model: nn.Module) -> Anatomy:
    """Returns the anatomy of a vision transformer as timm builds it, with all its blocks.

    Its head and pooling have no sites. timm's BEiT takes no further tokens (its relative positions
    are those of the image), so it has no SEQ sites; a `TimmEncoder` of it has.

    Raises:
        UserError: If its blocks are no plain pre-norm blocks.

    Example:
        >>> import timm
        >>> from rein_seg.encoders import find_anatomy
        >>> model = timm.create_model('vit_tiny_patch16_224', depth=2, num_classes=5)
        >>> anatomy = find_anatomy(model)
        >>> anatomy.num_blocks, anatomy.num_prefix, anatomy.stage_channels
        (2, 1, (192,))
    """
    check_plain(model, 'the module')
    attentions = [block.attn for block in model.blocks]
    bare = _model_anatomy(model, depth=len(model.blocks))
    if is_biased(model):
        bare = replace(bare, sites=tuple(s for s in bare.sites if not isinstance(s, SeqSite)))
    return replace(
        bare,
        settings=(
            # else the weight of qkv is used without a call of the module, which hooks need
            *(
                (attention, 'qkv_bias_separate', True)
                for attention in attentions
                if getattr(attention, 'q_bias', None) is not None
            ),
            # `count_prefix` changes it
            *(
                (attention, 'num_prefix_tokens', attention.num_prefix_tokens)
                for attention in attentions
                if hasattr(attention, 'num_prefix_tokens')
            ),
        ),
        hooks=tuple(
            (attention, 'input', count_prefix)
            for attention in attentions
            if hasattr(attention, 'num_prefix_tokens')
        ),
    )


def _model_anatomy(model: nn.Module, *, depth: int, inside: str = '', norm: bool = True) -> Anatomy:
    """Returns the anatomy of the first blocks; names in it begin with ``inside``."""
    channels, patch = model.embed_dim, model.patch_embed.patch_size[0]
    places = {f'blocks.{i}': (i, 0, i, channels) for i in range(depth)}
    # the model may be used by any of its methods: its own parameters are used before its blocks
    first = dict(user=model.patch_embed, until=model.blocks[0])
    sites: list[Site] = [
        replace(site, **(first if site.owner is model else {}))
        for site in param_sites(model, places, unused=_HEADS)
    ]
    outside = (-1, -1, -1, channels)
    sites.append(op_site(model, 'patch_embed.proj', 'patch', outside))
    sites += _norms(model, 'norm_pre', 'pre', outside)
    for name, place in places.items():
        sites += _block_sites(model, name, place)
    if norm:
        sites += _norms(model, 'norm', 'final', outside)
    named = (replace(s, name=inside + s.name) if hasattr(s, 'name') else s for s in sites)
    return Anatomy(
        family='timm',
        sites=tuple(named),
        num_prefix=model.num_prefix_tokens,
        patch_size=patch,
        out_channels=(channels,),
        out_strides=(patch,),
        stage_depths=(depth,),
        stage_channels=(channels,),
        grid_module=model.patch_embed.proj,
        num_heads=model.blocks[0].attn.num_heads,
        rotary=getattr(model, 'rope', None) is not None,
    )


def _norms(encoder: nn.Module, name: str, role: str, place: Place) -> list[NormSite]:
    owner, _, leaf = name.rpartition('.')
    norm = getattr(encoder.get_submodule(owner), leaf, None)
    absent = norm is None or isinstance(norm, nn.Identity)
    return [] if absent else [norm_site(encoder, name, role, place)]


def _attention_ops(encoder: nn.Module, name: str, place: Place) -> list[Site]:
    attention = encoder.get_submodule(name)
    if attention.qkv is not None:
        ops = [op_site(encoder, f'{name}.qkv', 'qkv', place, ('q', 'k', 'v'))]
    else:
        ops = [op_site(encoder, f'{name}.{part}_proj', 'qkv', place, (part,)) for part in 'qkv']
    if getattr(attention, 'gate', None) is not None:
        ops.insert(0, op_site(encoder, f'{name}.gate', 'attn_gate', place))
    norm = _norms(encoder, f'{name}.norm', 'attn_norm', place)
    return [*ops, *norm, op_site(encoder, f'{name}.proj', 'proj', place)]


def _masking(attention: nn.Module) -> dict[str, Any]:
    """Returns whether a block's attention takes a mask, as arguments of its SEQ site."""
    kind = type(attention).__name__
    if kind in _MASKED:
        return dict(masking=MaskedKeyword(attention, 'attn_mask', seen))
    return dict(why_no_mask=f'attention of the class {kind} is not known to take a mask')


def _ffn_ops(encoder: nn.Module, name: str, place: Place) -> list[Site]:
    ffn = encoder.get_submodule(name)
    if hasattr(ffn, 'fc1_g'):  # SwiGLU of two linears, gate and value
        ops = [
            op_site(encoder, f'{name}.fc1_g', 'fc1', place, ('gate',)),
            op_site(encoder, f'{name}.fc1_x', 'fc1', place, ('value',)),
        ]
    else:
        parts: tuple[str, ...] = ()
        if hasattr(ffn, 'gate_last'):  # SwiGLU of one packed linear
            parts = ('value', 'gate') if ffn.gate_last else ('gate', 'value')
        ops = [op_site(encoder, f'{name}.fc1', 'fc1', place, parts)]
    norm = _norms(encoder, f'{name}.norm', 'ffn_norm', place)
    return [*ops, *norm, op_site(encoder, f'{name}.fc2', 'fc2', place)]


def _block_sites(encoder: nn.Module, name: str, place: Place) -> list[Site]:
    block = encoder.get_submodule(name)

    def tap(path: str, side: str) -> Tap:
        return Tap(block.get_submodule(path) if path else block, side, 'NLC')

    def branch(kind: str, norm: str, inner: str, number: int) -> BranchSite:
        if hasattr(block, 'ls1'):
            exits = tap(f'ls{number}', 'input'), tap(f'ls{number}', 'output')
        else:  # LayerScale is a bare parameter: the first module after it is drop_path
            exits = tap(inner, 'output'), tap(f'drop_path{number}', 'input')
        return BranchSite(
            *place,
            kind,
            entry_raw=tap(norm, 'input'),
            entry_norm=tap(norm, 'output'),
            exit_pre=exits[0],
            exit_post=exits[1],
        )

    return [
        StreamSite(*place, 'in', (tap('', 'input'),)),
        *_norms(encoder, f'{name}.norm1', 'norm1', place),
        *_attention_ops(encoder, f'{name}.attn', place),
        branch('attn', 'norm1', 'attn', 1),
        StreamSite(*place, 'mid', (tap('norm2', 'input'), tap('', 'output'))),
        *_norms(encoder, f'{name}.norm2', 'norm2', place),
        *_ffn_ops(encoder, f'{name}.mlp', place),
        branch('ffn', 'norm2', 'mlp', 2),
        SeqSite(*place, entry=tap('', 'input'), exit=tap('', 'output'), **_masking(block.attn)),
        StreamSite(*place, 'out', (tap('', 'output'),)),
    ]
