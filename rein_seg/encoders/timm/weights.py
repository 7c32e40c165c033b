"""Official weights into a timm model, by timm's own filter and corrections of it.

C channels, p patch side.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set

import torch
from torch import Tensor, nn

from rein_seg.encoders.resampling import resize_patch_kernel, resize_positions
from rein_seg.encoders.timm.filters import timm_filter
from rein_seg.encoders.timm.model import TimmEncoder, build_timm, is_biased
from rein_seg.encoders.weights import Converted, strip_prefix
from rein_seg.errors import UserError
from rein_seg.registry import register_key_map

_TABLE = 'relative_position_bias_table'
_NORM = ('norm.weight', 'norm.bias')
_NORM_ENDS = tuple(f'.{name}' for name in _NORM)  # not of fc_norm
_RESIZED = ('patch_embed.proj.weight', 'pos_embed', _TABLE)
_UNUSED = (
    *('head.', 'head_dist.', 'fc_norm.', 'norm.', 'attn_pool.', 'lm_head.', 'mask_token'),
    *('rope.', 'text.', 'logit_scale', 'logit_bias', 'dino_head.', 'ibot_head.'),
)
# timm's filters recognise files by these names; the prefix of the first name found is taken off
_ANCHORS = (
    *('visual.class_embedding', 'visual.conv1.weight', 'visual.trunk.patch_embed.proj.weight'),
    *('visual.patch_embed.proj.weight', 'vision_encoder.patch_embed.proj.weight'),
    'patch_embed.proj.weight',
)


@register_key_map(TimmEncoder)
def timm_weights(encoder: nn.Module, state: dict[str, Tensor]) -> Converted:
    """Returns a weights file under the encoder's names; see `convert_timm_weights`."""
    with torch.device('meta'):
        reference = build_timm(
            encoder.model_name, encoder.model_args, final_norm=encoder.final_norm
        )
    return convert_timm_weights(
        state,
        reference,
        wanted=set(encoder.state_dict()),
        resample=encoder.resample,
        name=encoder.model_name,
    )


def convert_timm_weights(
    state: Mapping[str, Tensor],
    reference: nn.Module,
    *,
    wanted: Set[str],
    resample: str,
    name: str,
) -> Converted:
    """Returns tensors under the names of a `TimmEncoder`, each below ``model.``.

    Takes the files that timm's filter for the class takes (official files of the publications,
    timm's own, OpenCLIP's) and files under this encoder's own names. Tables of rotary frequencies,
    indices of relative positions, heads, mask tokens and text towers are left out, and the final
    norm, unless the model keeps it.

    Args:
        state: Tensors by name, as downloaded.
        reference: The timm model as timm builds it, without values.
        wanted: Names in the encoder.
        resample: ``timm`` or ``bicubic``; see `TimmEncoder`.
        name: timm's name, for messages.

    Raises:
        UserError: If timm does not know the file as a vision transformer, or the file has biases
            for qkv that this model cannot hold (timm's plain DINOv3 names), or one table of
            relative positions for all blocks where the model has one in each, or no final norm
            that the model keeps.
    """
    own_names = f'model.{_RESIZED[0]}' in state
    state = _unwrapped(state)
    _check_shared_table(state, reference, name)
    sized = _resized(state, reference, own_names) if resample == 'bicubic' else state
    sized, lost = _without_lost_biases(sized, reference, name)
    try:
        filtered = timm_filter(reference, name)(dict(sized), reference)
    except Exception as error:  # timm's filters index by name without checking
        raise UserError(
            f'timm cannot read the weights file for {name!r} ({type(error).__name__}: {error}); '
            'give the file of this model'
        ) from error
    settled = own_names or resample == 'bicubic'
    filtered = _square_to_grid(filtered, sized, reference, same_grid=settled)
    if own_names:  # timm takes a table for that of a square grid where it can
        filtered |= _tables_that_fit(sized, reference)
    filtered = _with_final_norm(filtered, sized, wanted, name)
    tensors = {f'model.{key}': value for key, value in joined_biases(filtered).items()}
    unused = [key for key in tensors if key not in wanted and _is_unused(key[6:])]
    for key in unused:
        del tensors[key]
    left_out = [*lost, *_dropped(sized, filtered), *(key[6:] for key in unused)]
    return Converted(
        tensors=tensors,
        left_out=tuple(sorted({re.sub(r'\d+', '*', key) for key in left_out})),
        resampled=_resampled(state, tensors),
    )


def _unwrapped(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    for anchor in _ANCHORS:
        if any(key == anchor or key.endswith('.' + anchor) for key in state):
            return strip_prefix(state, anchor)
    return dict(state)


def _is_unused(name: str) -> bool:
    # the index is a buffer and can be left out; its table of biases is a weight, and an error
    return name.startswith(_UNUSED) or name.endswith('relative_position_index')


def _resized(
    state: Mapping[str, Tensor], reference: nn.Module, own_names: bool
) -> dict[str, Tensor]:
    """Resizes by Rein's rule: bicubic, by size, without antialias."""
    embed = reference.patch_embed
    prefix = _rows_of_prefix(reference)
    result = dict(state)
    for key, value in state.items():
        if key.endswith('patch_embed.proj.weight'):
            result[key] = resize_patch_kernel(value, embed.patch_size)
        elif key.endswith('pos_embed') and value.dim() == 3:
            result[key] = resize_positions(
                value, embed.grid_size, num_prefix=prefix, same_grid=own_names
            )
    return result


def _check_shared_table(state: Mapping[str, Tensor], reference: nn.Module, name: str) -> None:
    shared = f'rel_pos_bias.{_TABLE}'
    if shared in state and is_biased(reference) and reference.rel_pos_bias is None:
        raise UserError(
            f'the weights file has one table of relative positions for all blocks ({shared!r}), as '
            f'BEiT has before fine-tuning, and timm model {name!r} has one in each block: give '
            'model_args=dict(use_rel_pos_bias=False, use_shared_rel_pos_bias=True)'
        )


def _with_final_norm(
    filtered: dict[str, Tensor], state: Mapping[str, Tensor], wanted: Set[str], name: str
) -> dict[str, Tensor]:
    """Takes the final norm back from the place of a classifier's, where timm's filter puts it."""
    missing = [key for key in _NORM if f'model.{key}' in wanted and key not in filtered]
    if not missing:
        return filtered
    moved = {key: filtered.get(f'fc_{key}') for key in missing}
    own = {value.data_ptr() for key, value in state.items() if f'.{key}'.endswith(_NORM_ENDS)}
    if any(value is None or value.data_ptr() not in own for value in moved.values()):
        classifier = any(key.startswith('fc_norm.') for key in filtered)
        raise UserError(
            f'the weights file of timm model {name!r} has no final norm ({", ".join(missing)}), '
            'which encoder.final_norm=True keeps'
            + (', only the norm of a classifier (fc_norm)' if classifier else '')
            + ': give the file of the pretraining, or set encoder.final_norm=False'
        )
    others = {key: value for key, value in filtered.items() if not key.startswith('fc_norm.')}
    return others | {key: value for key, value in moved.items() if value is not None}


def _tables_that_fit(state: Mapping[str, Tensor], reference: nn.Module) -> dict[str, Tensor]:
    own = reference.state_dict()
    names = (key for key in state if key.endswith(_TABLE) and key in own)
    return {key: state[key] for key in names if state[key].shape == own[key].shape}


def _rows_of_prefix(reference: nn.Module) -> int:
    """Returns the number of positions of prefix tokens in front of the patches'."""
    bare = not is_biased(reference) and reference.no_embed_class
    return 0 if bare else reference.num_prefix_tokens


def _square_to_grid(
    filtered: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    reference: nn.Module,
    *,
    same_grid: bool,
) -> dict[str, Tensor]:
    """Resizes positions of a square grid that has as many positions as the encoder's grid.

    timm takes them as they are. With ``same_grid`` that is right: the file has this encoder's own
    names, or its positions are resized already.
    """
    grid = reference.patch_embed.grid_size
    table = filtered.get('pos_embed')
    given = next((value for key, value in state.items() if key.endswith('pos_embed')), None)
    if table is None or given is None or table.shape != given.shape or grid[0] == grid[1]:
        return dict(filtered)
    prefix = _rows_of_prefix(reference)
    placed = resize_positions(given, grid, num_prefix=prefix, antialias=True, same_grid=same_grid)
    return {**filtered, 'pos_embed': placed}


def _without_lost_biases(
    state: Mapping[str, Tensor], reference: nn.Module, name: str
) -> tuple[dict[str, Tensor], list[str]]:
    # timm's plain DINOv3 names have no qkv bias; in the published ViT-B, L and H it is zero
    attention = reference.blocks[0].attn
    bare = getattr(attention, 'qkv', None) is not None and attention.qkv.bias is None
    if not bare or getattr(attention, 'q_bias', None) is not None:
        return dict(state), []
    lost = [key for key in state if key.endswith('attn.qkv.bias')]
    for key in lost:
        query, _, value = state[key].chunk(3)  # k's part is masked
        if query.any() or value.any():
            raise UserError(
                f'the weights file has a bias {key!r} that timm model {name!r} cannot hold: use '
                'the model whose name has _qkvb (or model_args=dict(qkv_bias=True))'
            )
    return {key: value for key, value in state.items() if key not in lost}, lost


def joined_biases(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Joins the biases of q and v into one bias for qkv; see `join_biases`.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.timm.weights import joined_biases
        >>> state = {'attn.q_bias': torch.ones(2), 'attn.v_bias': torch.ones(2)}
        >>> joined_biases(state)
        {'attn.qkv.bias': tensor([1., 1., 0., 0., 1., 1.])}
    """
    result = dict(state)
    for key in [key for key in state if key.endswith('attn.q_bias')]:
        query = result.pop(key)
        value = result.pop(key.replace('q_bias', 'v_bias'))
        joined = torch.cat((query, torch.zeros_like(query), value))
        result[key.replace('q_bias', 'qkv.bias')] = joined
    return result


def _dropped(state: Mapping[str, Tensor], filtered: Mapping[str, Tensor]) -> list[str]:
    """Returns the names whose values timm's filter left out."""
    taken = {value.data_ptr() for value in filtered.values()}
    return [
        key
        for key, value in state.items()
        if value.data_ptr() not in taken and not key.endswith(_RESIZED)
    ]


def _resampled(state: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> tuple[str, ...]:
    notes = []
    for leaf in _RESIZED:
        before = next((value for key, value in state.items() if key.endswith(leaf)), None)
        after = next((value for key, value in tensors.items() if key.endswith(f'.{leaf}')), None)
        if before is not None and after is not None and before is not after:
            notes.append(f'{leaf} {tuple(before.shape)} -> {tuple(after.shape)}')
    return tuple(notes)
