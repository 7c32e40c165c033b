"""Vision transformers of the transformers library: DINOv2, DINOv3, ViT, DeiT, CLIP, SigLIP.

The token sequence is (B, P+N, C) with the prefix first; blocks are pre-norm. transformers itself is
imported by who builds the module.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from rein_seg.encoders.masked_attention import MaskedKeyword, added
from rein_seg.encoders.sites import Place, norm_site, op_site, param_sites
from rein_seg.errors import UserError
from rein_seg.registry import register_anatomy
from rein_seg.structures import Anatomy, BranchSite, SeqSite, Side, Site, StreamSite, Tap

_CLASSES = (
    *('Dinov2Model', 'Dinov2Backbone', 'Dinov2WithRegistersModel', 'Dinov2WithRegistersBackbone'),
    *('DINOv3ViTModel', 'DINOv3ViTBackbone', 'ViTModel', 'ViTMSNModel', 'DeiTModel', 'IJepaModel'),
    *('CLIPVisionModel', 'MetaClip2VisionModel', 'SiglipVisionModel'),
)
# poolers and what only masked images use
_UNUSED = ('pooler.', 'head.', 'embeddings.mask_token')
_PREFIX = {'cls_token', 'class_embedding', 'distillation_token'}
# names of each part, of which a class has one
_PATCH = (
    'embeddings.patch_embeddings.projection',
    'embeddings.patch_embedding',
    'embeddings.patch_embeddings',
)
_BLOCKS = ('encoder.layer', 'encoder.layers', 'model.layer', 'layers', 'layer')
_PRE_NORM, _FINAL_NORM = ('pre_layrnorm',), ('layernorm', 'post_layernorm', 'norm')
_NORM1 = ('norm1', 'layernorm_before', 'layer_norm1')
_NORM2 = ('norm2', 'layernorm_after', 'layer_norm2')
_ATTENTION = ('attention', 'self_attn')
_MASKED = ('eager', 'sdpa')
_OUT = ('o_proj', 'out_proj')


@register_anatomy(*(f'transformers.{name}' for name in _CLASSES))
def transformers_anatomy(encoder: nn.Module) -> Anatomy:
    """Returns the anatomy of a vision transformer of transformers 5; its pooler has no sites.

    Raises:
        UserError: If the module has other parts, as those of transformers 4.

    Example:
        >>> from transformers import Dinov2Config, Dinov2Model
        >>> from rein_seg.encoders import find_anatomy
        >>> config = Dinov2Config(hidden_size=32, num_hidden_layers=2, num_attention_heads=2)
        >>> anatomy = find_anatomy(Dinov2Model(config))
        >>> anatomy.num_blocks, anatomy.num_prefix, anatomy.patch_size
        (2, 1, 14)
    """
    patch, blocks = _part(encoder, _PATCH), _part(encoder, _BLOCKS)
    projection = encoder.get_submodule(patch)
    channels, side = projection.out_channels, int(projection.stride[0])
    depth = len(encoder.get_submodule(blocks))
    places = {f'{blocks}.{i}': (i, 0, i, channels) for i in range(depth)}
    outside = (-1, -1, -1, channels)
    # CLIP's final norm is for the pooled token only
    clip = type(encoder).__name__ in ('CLIPVisionModel', 'MetaClip2VisionModel')
    pooled = ('post_layernorm.',) if clip else ()
    sites: list[Site] = [*param_sites(encoder, places, unused=(*_UNUSED, *pooled))]
    sites.append(op_site(encoder, patch, 'patch', outside))
    sites += _norms(encoder, _PRE_NORM, 'pre', outside)
    for name, place in places.items():
        sites += _block_sites(encoder, name, place)
    if not pooled:
        sites += _norms(encoder, _FINAL_NORM, 'final', outside)
    own = {name for name, _ in encoder.embeddings.named_parameters(recurse=False)}
    registers = encoder.config.num_register_tokens if 'register_tokens' in own else 0
    return Anatomy(
        family='transformers',
        sites=tuple(sites),
        num_prefix=len(own & _PREFIX) + registers,
        patch_size=side,
        out_channels=(channels,),
        out_strides=(side,),
        stage_depths=(depth,),
        stage_channels=(channels,),
        grid_module=projection,
        num_heads=encoder.config.num_attention_heads,
        rotary=_has(encoder, 'rope_embeddings'),
    )


def _has(module: nn.Module, path: str) -> bool:
    for name in path.split('.'):
        if name not in module._modules:
            return False
        module = module._modules[name]
    return True


def _part(module: nn.Module, names: tuple[str, ...]) -> str:
    """Returns the name that the module has."""
    found = next((name for name in names if _has(module, name)), None)
    if found is None:
        raise UserError(
            f'{type(module).__name__} has none of {", ".join(names)}: expected the parts of '
            'transformers 5; install it (pip install "transformers>=5"), or register an anatomy '
            '(docs/tutorials/your-encoder.md)'
        )
    return found


def _norms(
    encoder: nn.Module, names: tuple[str, ...], role: str, place: Place, inside: str = ''
) -> list[Site]:
    found = [name for name in names if _has(encoder, inside + name)]
    return [norm_site(encoder, inside + found[0], role, place)] if found else []


def _attention_sites(encoder: nn.Module, name: str, place: Place) -> list[Site]:
    attention = encoder.get_submodule(name)
    _part(attention, ('q_proj',))
    parts: list[Site] = [
        op_site(encoder, f'{name}.{part}_proj', 'qkv', place, (part,)) for part in 'qkv'
    ]
    return [*parts, op_site(encoder, f'{name}.{_part(attention, _OUT)}', 'proj', place)]


def _masking(encoder: nn.Module, attention: nn.Module) -> dict[str, Any]:
    """Returns whether a block's attention takes a mask, as arguments of its SEQ site."""
    kind = encoder.config._attn_implementation
    if kind in _MASKED:
        return dict(masking=MaskedKeyword(attention, 'attention_mask', added, place=1))
    return dict(why_no_mask=f'attn_implementation={kind!r} takes none; "sdpa" does')


def _ffn_sites(encoder: nn.Module, name: str, place: Place) -> list[Site]:
    ffn = encoder.get_submodule(name)
    gated = _has(ffn, 'gate_proj')
    if gated:
        first: list[Site] = [
            op_site(encoder, f'{name}.gate_proj', 'fc1', place, ('gate',)),
            op_site(encoder, f'{name}.up_proj', 'fc1', place, ('value',)),
        ]
    else:
        first = [op_site(encoder, f'{name}.{_part(ffn, ("fc1", "up_proj"))}', 'fc1', place)]
    return [*first, op_site(encoder, f'{name}.{_part(ffn, ("fc2", "down_proj"))}', 'fc2', place)]


def _block_sites(encoder: nn.Module, name: str, place: Place) -> list[Site]:
    block = encoder.get_submodule(name)
    norm1, norm2, attention = _part(block, _NORM1), _part(block, _NORM2), _part(block, _ATTENTION)
    _part(block, ('mlp',))

    def tap(path: str, side: Side) -> Tap:
        return Tap(block.get_submodule(path) if path else block, side, 'NLC')

    def branch(kind: str, norm: str, inner: str, scale: str) -> BranchSite:
        scaled = _has(block, scale)
        return BranchSite(
            *place,
            kind,
            entry_raw=tap(norm, 'input'),
            entry_norm=tap(norm, 'output'),
            exit_pre=tap(scale, 'input') if scaled else tap(inner, 'output'),
            exit_post=tap(scale, 'output') if scaled else None,
        )

    return [
        StreamSite(*place, 'in', (tap('', 'input'),)),
        norm_site(encoder, f'{name}.{norm1}', 'norm1', place),
        *_attention_sites(encoder, f'{name}.{attention}', place),
        branch('attn', norm1, attention, 'layer_scale1'),
        StreamSite(*place, 'mid', (tap(norm2, 'input'), tap('', 'output'))),
        norm_site(encoder, f'{name}.{norm2}', 'norm2', place),
        *_ffn_sites(encoder, f'{name}.mlp', place),
        branch('ffn', norm2, 'mlp', 'layer_scale2'),
        SeqSite(
            *place,
            entry=tap('', 'input'),
            exit=tap('', 'output'),
            **_masking(encoder, block.get_submodule(attention)),
        ),
        StreamSite(*place, 'out', (tap('', 'output'),)),
    ]
