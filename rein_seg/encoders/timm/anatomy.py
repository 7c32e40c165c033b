"""Anatomy of a vision transformer of timm.

The token sequence is (B, P+N, C) with the prefix first; blocks are pre-norm.
"""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from rein_seg.encoders.sites import Place, norm_site, op_site, param_sites
from rein_seg.encoders.timm.model import TimmEncoder
from rein_seg.registry import register_anatomy
from rein_seg.structures import (
    Anatomy,
    BranchSite,
    NormSite,
    SeqSite,
    Site,
    StreamSite,
    Tap,
)


@register_anatomy(TimmEncoder)
def timm_anatomy(encoder: nn.Module) -> Anatomy:
    """Returns the anatomy of a `TimmEncoder`."""
    model = encoder.model
    channels, patch = model.embed_dim, encoder.grid.patch_size
    # blocks behind the last output change nothing: without a site nothing trains there
    depth = encoder.out_indices[-1] + 1
    places = {f'blocks.{i}': (i, 0, i, channels) for i in range(depth)}
    # TimmEncoder calls a method of the model, not the model: hooks on the model would not run
    sites: list[Site] = [
        replace(site, name=f'model.{site.name}', user=encoder if site.owner is model else None)
        for site in param_sites(model, places)
    ]
    outside = (-1, -1, -1, channels)
    sites.append(op_site(encoder, 'model.patch_embed.proj', 'patch', outside))
    sites += _norms(encoder, 'model.norm_pre', 'pre', outside)
    for name, place in places.items():
        sites += _block_sites(encoder, f'model.{name}', place)
    return Anatomy(
        family='timm',
        sites=tuple(sites),
        num_prefix=model.num_prefix_tokens,
        patch_size=patch,
        out_channels=(channels,) * len(encoder.out_indices),
        out_strides=(patch,) * len(encoder.out_indices),
        stage_depths=(depth,),
        stage_channels=(channels,),
        grid_module=encoder.grid,
        divisor=patch,
    )


def _norms(encoder: nn.Module, name: str, role: str, place: Place) -> list[NormSite]:
    absent = isinstance(encoder.get_submodule(name), nn.Identity)
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
        SeqSite(*place, entry=tap('', 'input'), exit=tap('', 'output')),
        StreamSite(*place, 'out', (tap('', 'output'),)),
    ]
