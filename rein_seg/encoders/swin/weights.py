"""Official files of Swin into `Swin`: names, order of merged patches, tables of other windows.

C channels, n heads, w window side, S = 2 w - 1 distances along an axis.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from rein_seg.encoders.resampling import resize_grid
from rein_seg.encoders.swin.model import Swin
from rein_seg.encoders.weights import (
    HEADS,
    Converted,
    blocks_of_stages,
    check_variant,
    fill_output_norms,
    leave_out,
    rename,
    strip_prefix,
)
from rein_seg.errors import UserError
from rein_seg.registry import register_key_map

_ANCHOR = 'patch_embed.norm.weight'  # in every layout
_RULES = (
    (r'^layers\.', 'stages.'),
    (r'\.attn\.w_msa\.', '.attn.'),
    (r'\.mlp\.fc1\.', '.ffn.layers.0.0.'),
    (r'\.mlp\.fc2\.', '.ffn.layers.1.'),
    (r'^patch_embed\.proj\.', 'patch_embed.projection.'),
)
_COMPUTED = r'.*\.(relative_position_index|attn_mask)$'  # from window and image size
_OTHERS = '|'.join(re.escape(name) for name in (*HEADS, 'mask_token', 'decoder.'))
_MERGING = r'\.downsample\.(norm|reduction)\.'
_TABLE = '.attn.relative_position_bias_table'
_SIZES = {  # by width and blocks of each stage
    (96, (2, 2, 6, 2)): 'Swin-T',
    (96, (2, 2, 18, 2)): 'Swin-S',
    (128, (2, 2, 18, 2)): 'Swin-B',
    (192, (2, 2, 18, 2)): 'Swin-L',
}


@register_key_map(Swin)
def convert_swin(encoder: Swin, state: dict[str, Tensor]) -> Converted:
    """Converts a file of Swin as Microsoft, timm, mmpretrain or mmseg write it.

    The encoder can stand below any prefix (``backbone.``, ``encoder.``). Microsoft's and timm's
    files (``layers.0.``) join the four patches of a merging in another order, so these weights are
    permuted; timm's files number a merging with the stage behind it. Heads, masks and indices are
    left out. The norms of earlier outputs, which a classifier does not have, start as the identity.
    Tables of relative positions are resized to the encoder's window, bicubically.

    Raises:
        UserError: If the file is of Swin version 2, or of another size.
    """
    tensors, computed = leave_out(strip_prefix(state, _ANCHOR), _COMPUTED)
    official = any(name.startswith('layers.') for name in tensors)
    tensors, left_out = leave_out(tensors, _OTHERS)
    tensors = rename(tensors, _RULES)
    depths = blocks_of_stages(tensors)
    if _ANCHOR not in tensors or not depths:
        return Converted(state)  # not a file of Swin: strict loading lists the names
    _check_version(tensors)
    own_size = (encoder.embed_dims, tuple(encoder.depths))
    check_variant('Swin', _SIZES, (tensors[_ANCHOR].shape[0], depths), own_size)
    if official:
        tensors = _reorder_mergings(tensors, len(depths))
    last = f'norm{len(depths) - 1}'
    tensors = rename(tensors, ((r'^norm\.', f'{last}.'),))
    own = encoder.state_dict()
    unused = tuple(n for n in tensors if re.match(r'norm\d\.', n) and n not in own)
    for name in unused:
        del tensors[name]
    filled = fill_output_norms(tensors, own, last)
    resampled = _fit_tables(encoder, tensors)
    return Converted(tensors, (*left_out, *unused, *computed), tuple(resampled), filled)


def _check_version(tensors: Mapping[str, Tensor]) -> None:
    if any('.cpb_mlp.' in name for name in tensors):
        raise UserError(
            'the weights file is a Swin of version 2 (it has cpb_mlp): this encoder is version 1; '
            'take a file without "swinv2" in its name'
        )


def _reorder_mergings(tensors: Mapping[str, Tensor], num_stages: int) -> dict[str, Tensor]:
    """Returns the tensors with mergings in mmcv's order, and numbered as in mmpretrain.

    The 4 C inputs are (column, row, C) officially: top left, bottom left, top right, bottom right.
    mmcv's unfolding makes them (C, row, column).
    """
    # the last stage merges nothing, so a merging there belongs to the stage before
    shift = int(any(re.match(rf'stages\.{num_stages - 1}{_MERGING}', name) for name in tensors))
    moved = {}
    for name, tensor in tensors.items():
        if re.search(_MERGING, name):
            name = re.sub(r'\d+', lambda stage: str(int(stage[0]) - shift), name, count=1)
            tensor = tensor.unflatten(-1, (2, 2, -1)).transpose(-1, -3).flatten(-3)
        moved[name] = tensor
    return moved


def _fit_tables(encoder: Swin, tensors: dict[str, Tensor]) -> list[str]:
    """Resizes the tables of relative positions in place; returns a note for each pair of sizes."""
    changes: dict[tuple[int, int], int] = {}
    for name, own in encoder.state_dict().items():
        table = tensors.get(name) if name.endswith(_TABLE) else None
        if table is None or len(table) == len(own):
            continue
        sides = tuple(round(len(rows) ** 0.5) for rows in (table, own))
        if sides[0] ** 2 != len(table):
            raise UserError(
                f'{name} of the weights file has {len(table)} rows: expected a square number, '
                '(2 window_size - 1)^2; the file is of another kind of encoder'
            )
        grid = table.reshape(1, sides[0], sides[0], -1)
        resized = resize_grid(grid, mode='bicubic', size=(sides[1], sides[1]))
        tensors[name] = resized.flatten(0, 2).to(table.dtype)
        changes[sides] = changes.get(sides, 0) + 1
    return [f'{count} x relative positions {a}x{a} -> {b}x{b}' for (a, b), count in changes.items()]
