"""Files of Hugging Face transformers under the names of the models' authors.

The key maps of the encoders read the authors' files, and so these files, too. SAM's layout has the
authors' structure and needs no change here: `SAMViT` reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rein_seg.encoders.weights import leave_out, rename
from rein_seg.errors import UserError

_PATCHES = 'embeddings.patch_embeddings.'  # of vision transformers; CLIP and SigLIP have one "s"
_TRANSFORMERS = (
    r'(^|\.)(embeddings\.(patch_embeddings?|cls_token|class_embedding)\b'
    r'|layer\.\d+\.attention\.|vision_model\.)'
)
# transformers renamed parts in version 5; files that it writes have the older names
_BLOCK = (
    (r'^(?:encoder\.|model\.)?layers?\.(\d+)\.', r'blocks.\1.'),
    (r'\.(?:layernorm_before|layer_norm1)\.', '.norm1.'),
    (r'\.(?:layernorm_after|layer_norm2)\.', '.norm2.'),
    (r'\.(?:attention\.attention\.|attention\.|self_attn\.)(?:query|q_proj)\.', '.attn.q.'),
    (r'\.(?:attention\.attention\.|attention\.|self_attn\.)(?:key|k_proj)\.', '.attn.k.'),
    (r'\.(?:attention\.attention\.|attention\.|self_attn\.)(?:value|v_proj)\.', '.attn.v.'),
    (r'\.(?:attention\.output\.dense|attention\.o_proj|self_attn\.out_proj)\.', '.attn.proj.'),
    (r'\.layer_scale([12])\.lambda1$', r'.ls\1.gamma'),
    (r'\.intermediate\.dense\.', '.mlp.fc1.'),
    (r'^(blocks\.\d+)\.output\.dense\.', r'\1.mlp.fc2.'),
    (r'^(?:layernorm|post_layernorm)\.', 'norm.'),
)
_VIT = (
    (r'^embeddings\.patch_embeddings\.projection\.', 'patch_embed.proj.'),
    (r'^embeddings\.position_embeddings$', 'pos_embed'),
    (r'^embeddings\.', ''),
    *_BLOCK,
    (r'\.mlp\.weights_in\.', '.mlp.w12.'),
    (r'\.mlp\.(?:weights_out|down_proj)\.', '.mlp.w3.'),
)
_DINOV3 = (
    (r'^embeddings\.patch_embeddings\.', 'patch_embed.proj.'),
    (r'^embeddings\.register_tokens$', 'storage_tokens'),
    (r'^embeddings\.', ''),
    *_BLOCK,
)
_DINOV3_MLP = ((r'\.mlp\.up_proj\.', '.mlp.fc1.'), (r'\.mlp\.down_proj\.', '.mlp.fc2.'))
_DINOV3_GATED = (
    (r'\.mlp\.gate_proj\.', '.mlp.w1.'),
    (r'\.mlp\.up_proj\.', '.mlp.w2.'),
    (r'\.mlp\.down_proj\.', '.mlp.w3.'),
)
_SIGLIP = (
    (r'^embeddings\.patch_embedding\.', 'patch_embed.proj.'),
    (r'^embeddings\.position_embedding\.weight$', 'pos_embed'),
    *_BLOCK,
)
_CLIP = (
    (r'^embeddings\.patch_embedding\.', 'conv1.'),
    (r'^embeddings\.class_embedding$', 'class_embedding'),
    (r'^embeddings\.position_embedding\.weight$', 'positional_embedding'),
    (r'^pre_layrnorm\.', 'ln_pre.'),  # the spelling of the library
    (r'^post_layernorm\.', 'ln_post.'),
    *_BLOCK,
)
_OPENAI = (
    (r'^blocks\.', 'transformer.resblocks.'),
    (r'\.norm([12])\.', r'.ln_\1.'),
    (r'\.attn\.proj\.', '.attn.out_proj.'),
    (r'\.attn\.qkv\.', '.attn.in_proj_'),
    (r'\.mlp\.fc1\.', '.mlp.c_fc.'),
    (r'\.mlp\.fc2\.', '.mlp.c_proj.'),
)
# heads of classifiers; numbers of positions, in older files
_UNUSED = r'(?:(?:pooler|classifier|head)\.|embeddings\.position_ids$)'
_READ = 'DINOv2, DINOv3, ViT, CLIP, SigLIP and SAM'


@dataclass(frozen=True)
class _Found:
    """A model in a file: its kind, the prefix of its names, and the name of its first weight."""

    kind: str
    prefix: str
    patches: str


def from_transformers(
    encoder: nn.Module, state: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Returns a file of transformers under the authors' names; other files as they are.

    Separate queries, keys and values are joined, a bias that keys lack is zero. Parts beside the
    image tower (text tower, classifier, decoder) are left out; CLIP's projection of images stays.

    Args:
        encoder: A file under its own names stays as it is.
        state: The file, as downloaded.

    Returns:
        The tensors, and the names that are left out.

    Raises:
        UserError: If it is a file of transformers of a kind that is not read.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from rein_seg.encoders.transformers_layout import from_transformers
        >>> block, parts = 'vit.encoder.layer.0.attention.attention', ('query', 'key', 'value')
        >>> state = {f'{block}.{part}.weight': torch.ones(4, 4) for part in parts}
        >>> state['vit.embeddings.patch_embeddings.projection.weight'] = torch.ones(4, 3, 2, 2)
        >>> state['vit.embeddings.position_embeddings'] = torch.ones(1, 5, 4)
        >>> tensors, left_out = from_transformers(nn.Identity(), {**state, 'head': torch.ones(1)})
        >>> [(name, tuple(tensor.shape)) for name, tensor in tensors.items()], left_out
        ([('blocks.0.attn.qkv.weight', (12, 4)), ('patch_embed.proj.weight', (4, 3, 2, 2)),
        ('pos_embed', (1, 5, 4))], ('head',))
    """
    found = _find(state)
    if found is None or found.patches in encoder.state_dict():
        _refuse(encoder, state)
        return dict(state), ()
    beside = rf'(?!{re.escape(found.prefix)})|{re.escape(found.prefix)}{_UNUSED}'
    inside, left_out = leave_out(state, beside)
    tower = {name.removeprefix(found.prefix): tensor for name, tensor in inside.items()}
    named = _rename(found.kind, tower)
    projection = f'{found.prefix.removesuffix("vision_model.")}visual_projection.weight'
    if found.kind == 'clip' and projection in left_out:
        named['visual.proj'] = state[projection].mT.contiguous()  # officially (C, D)
        left_out = tuple(name for name in left_out if name != projection)
    return named, left_out


def _find(state: Mapping[str, Tensor]) -> _Found | None:
    """Returns kind and prefix of the model in a file; None if it is none that is read."""
    kinds = (
        ('vit', _PATCHES + 'projection.weight', 'embeddings.position_embeddings'),
        ('dinov3', _PATCHES + 'weight', 'embeddings.register_tokens'),
        ('clip', 'embeddings.patch_embedding.weight', 'embeddings.class_embedding'),
        ('siglip', 'embeddings.patch_embedding.weight', 'embeddings.position_embedding.weight'),
    )
    for kind, anchor, needed in kinds:
        names = [name for name in state if name == anchor or name.endswith('.' + anchor)]
        prefix = names[0].removesuffix(anchor) if len(names) == 1 else None
        if prefix is not None and prefix + needed in state and _has_queries(state, prefix):
            return _Found(kind, prefix, names[0])
    return None


def _has_queries(names: Iterable[str], prefix: str) -> bool:
    query = r'.*layers?\.0\.(attention\.attention\.query|(attention|self_attn)\.q_proj)\.weight'
    return any(n.startswith(prefix) and re.fullmatch(query, n.removeprefix(prefix)) for n in names)


def _rename(kind: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    if kind == 'vit':
        return _join_gates(_join_attention(rename(state, _VIT)))
    if kind == 'dinov3':
        gated = any('.mlp.gate_proj.' in name for name in state)
        mlp = _DINOV3_GATED if gated else _DINOV3_MLP
        return _join_attention(rename(state, (*_DINOV3, *mlp)))
    if kind == 'siglip':
        tensors = _join_attention(rename(state, _SIGLIP))
        return {**tensors, 'pos_embed': tensors['pos_embed'][None]}
    tensors = rename(_join_attention(rename(state, _CLIP)), _OPENAI)
    return {f'visual.{name}': tensor for name, tensor in tensors.items()}


def _join_attention(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Joins queries, keys and values of each block, in this order."""
    result: dict[str, Tensor] = {}
    for name, tensor in state.items():
        part = re.fullmatch(r'(.*\.attn\.)([qkv])\.(weight|bias)', name)
        joined = part and f'{part[1]}qkv.{part[3]}'
        if part is None or joined is None:
            result[name] = tensor
        elif joined not in result:
            parts = [state.get(f'{part[1]}{letter}.{part[3]}') for letter in 'qkv']
            if part[3] == 'bias':  # the keys of DINOv3 have no bias
                parts = [torch.zeros_like(tensor) if one is None else one for one in parts]
            if any(one is None for one in parts):
                raise UserError(
                    f'the weights file has a part of {joined!r} only; get it again from its source'
                )
            result[joined] = torch.cat([one for one in parts if one is not None])
    return result


def _join_gates(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Joins gate and input of a SwiGLU, as DINOv2's authors do."""
    result: dict[str, Tensor] = {}
    for name, tensor in state.items():
        other = name.replace('.mlp.gate_proj.', '.mlp.up_proj.')
        if other != name and other in state:
            joined = torch.cat((tensor, state[other]))
            result[name.replace('.mlp.gate_proj.', '.mlp.w12.')] = joined
        elif name.replace('.mlp.up_proj.', '.mlp.gate_proj.') == name:
            result[name] = tensor
    return result


def _refuse(encoder: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Refuses a file of transformers that no key map reads; SAM's names are others."""
    # a text tower can come from that library while the image tower does not
    names = (n for n in state if re.search(_TRANSFORMERS, n) and 'text' not in n)
    found = next(names, None)
    if found is not None and found not in encoder.state_dict():
        raise UserError(
            f'the weights file is a Hugging Face transformers file (it has {found!r}) of a kind '
            f'that {type(encoder).__name__} does not take: of that library, {_READ} are read; else '
            "give the authors' own file, which docs/reference/weights.md names, or, for "
            "type='TimmEncoder', the timm/... model's from the hub (pretrained=True)"
        )
