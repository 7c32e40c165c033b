"""Official files of PVT, and timm's of version 2, into `PVT`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from rein_seg.encoders.pvt.archs import ARCHS, Arch, make_arch
from rein_seg.encoders.pvt.model import PVT
from rein_seg.encoders.weights import HEADS, Converted, leave_out, rename, strip_prefix
from rein_seg.errors import UserError
from rein_seg.registry import register_key_map

_ANCHOR = 'patch_embed1.proj.weight'
_OTHERS = '|'.join(re.escape(name) for name in (*HEADS, 'cls_token', 'norm.'))
# the decoder beside the encoder in files of DuAT
_DUAT = r'|GLSA_c[234]\.|SBA\.|L_feature\.|fuse2?\.'
_TIMM_ANCHOR = 'stages.0.blocks.0.attn.kv.weight'


@register_key_map(PVT)
def convert_pvt(encoder: PVT, state: dict[str, Tensor]) -> Converted:
    """Takes the official files, whose names the encoder has, and timm's of version 2.

    The encoder can stand below any prefix (``backbone.``). The classifier's tensors are left out:
    ``head.*``, in version 1 also ``cls_token`` and ``norm.*``; likewise the decoder in files of
    DuAT. Positions keep their stored size.

    Raises:
        UserError: If the file is of another variant.
    """
    tensors = _official_names(state)
    tensors, left_out = leave_out(strip_prefix(tensors, _ANCHOR), _OTHERS + _DUAT)
    found = _sizes(tensors)
    if found is None:
        return Converted(state)  # not a file of PVT: strict loading lists the names
    own = _sizes(encoder.state_dict())
    if found != own:
        raise UserError(
            f'the weights file is a {_name(found)}; the encoder is a {_name(own)}: set '
            'encoder.arch to the file, or encoder.checkpoint to a file of this variant'
        )
    _check_positions(encoder, tensors)
    return Converted(tensors, left_out)


def _official_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns timm's tensors under the official names, others as they are."""
    tensors = strip_prefix(state, _TIMM_ANCHOR)
    if _TIMM_ANCHOR not in tensors:
        return dict(state)
    rules = [(r'^patch_embed\.', 'patch_embed1.'), (r'\.mlp\.dwconv\.', '.mlp.dwconv.dwconv.')]
    for stage in range(_depth(tensors, r'stages\.(\d+)\.')):
        number = stage + 1
        rules += [
            (rf'^stages\.{stage}\.downsample\.', f'patch_embed{number}.'),
            (rf'^stages\.{stage}\.blocks\.', f'block{number}.'),
            (rf'^stages\.{stage}\.norm\.', f'norm{number}.'),
        ]
    return rename(tensors, rules)


def _sizes(tensors: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """Returns the sizes that tensors show, None if they are not a PVT's."""
    stages = range(1, _depth(tensors, r'block(\d+)\.', first=1))
    if _ANCHOR not in tensors or not stages:
        return None
    first = [f'block{number}.0' for number in stages]
    try:
        widths = tuple(len(tensors[f'{name}.norm1.weight']) for name in first)
        hidden = tuple(len(tensors[f'{name}.mlp.fc1.weight']) for name in first)
    except KeyError:
        return None
    kernels = [tensors.get(f'{name}.attn.sr.weight') for name in first]
    return {
        'version': 'v2' if f'{first[0]}.mlp.dwconv.dwconv.weight' in tensors else 'v1',
        'embed_dims': widths,
        'mlp_ratios': tuple(h / w for h, w in zip(hidden, widths, strict=True)),
        'depths': tuple(_depth(tensors, rf'block{number}\.(\d+)\.') for number in stages),
        # 1 with linear attention, None without a reduction
        'sr_ratios': tuple(None if k is None else k.shape[-1] for k in kernels),
    }


def _depth(tensors: Mapping[str, Tensor], pattern: str, *, first: int = 0) -> int:
    """Returns the largest number in the names, plus 1."""
    found = (re.match(pattern, name) for name in tensors)
    return max((int(match[1]) for match in found if match), default=first - 1) + 1


def _name(sizes: Mapping[str, Any] | None) -> str:
    assert sizes is not None, 'a PVT'
    for name in ARCHS:
        if sizes == _expected(make_arch(name)):
            return f'PVT {name}'
    told = {k: v for k, v in sizes.items() if k != 'version'}
    return f'PVT {sizes["version"]} of no usual size ({told})'


def _expected(arch: Arch) -> dict[str, Any]:
    ratios = (1 if arch.linear else None if ratio == 1 else ratio for ratio in arch.sr_ratios)
    return {
        'version': arch.version,
        'embed_dims': arch.embed_dims,
        'mlp_ratios': arch.mlp_ratios,
        'depths': arch.depths,
        'sr_ratios': tuple(ratios),
    }


def _check_positions(encoder: PVT, tensors: Mapping[str, Tensor]) -> None:
    table = tensors.get('pos_embed1')
    if table is None or encoder.img_size is None:
        return
    side = round(table.shape[1] ** 0.5)
    if side != encoder.stored_side(0):
        raise UserError(
            f'the weights file has positions of {side}x{side} patches, encoder.img_size='
            f'{encoder.img_size} asks for {encoder.stored_side(0)}x{encoder.stored_side(0)}: set '
            f'encoder.img_size={4 * side}; they are resized to the grid of each image'
        )
