"""Official files of SAM into `SAMViT`: the layouts of Meta and Hugging Face, other sizes.

C channels, H x W grid of positions, w window side.
"""

from __future__ import annotations

from torch import Tensor

from rein_seg.encoders.plain_vit.weights import PATCH, POSITIONS, check_size, count_blocks
from rein_seg.encoders.sam.attention import resize_table
from rein_seg.encoders.sam.model import SAMViT, resize_map
from rein_seg.encoders.weights import Converted, leave_out, rename, strip_prefix
from rein_seg.errors import UserError
from rein_seg.registry import register_key_map

_RULES = (
    (r'^patch_embed\.proj\.', 'patch_embed.projection.'),
    (r'^blocks\.', 'layers.'),
    (r'^(layers\.\d+)\.(?:layer_)?norm([12])\.', r'\1.ln\2.'),
    (r'\.mlp\.lin1\.', '.ffn.layers.0.0.'),
    (r'\.mlp\.lin2\.', '.ffn.layers.1.'),
    (r'^neck\.conv1\.', 'neck.0.'),
    (r'^neck\.layer_norm1\.', 'neck.1.'),
    (r'^neck\.conv2\.', 'neck.2.'),
    (r'^neck\.layer_norm2\.', 'neck.3.'),
    (r'^neck\.', 'channel_reduction.'),
)
_OTHER_PARTS = r'(.*\.)?(prompt_encoder|mask_decoder|shared_image_embedding)\.'
_NECK = r'(neck|channel_reduction)\.'


@register_key_map(SAMViT)
def convert_sam(encoder: SAMViT, state: dict[str, Tensor]) -> Converted:
    """Converts a file of SAM as Meta or Hugging Face publish it, or its encoder alone.

    The encoder can stand below any prefix (``image_encoder.``, ``vision_encoder.``, ``backbone.``).
    Prompt encoder and mask decoder are left out, and the neck, if the encoder has no neck.
    Positions and the tables of global blocks are resized to the encoder's ``img_size``.

    Raises:
        UserError: If the file is of another size, or has windows of another size.
    """
    tensors, left_out = leave_out(strip_prefix(state, POSITIONS), _OTHER_PARTS)
    if not encoder.neck:
        tensors, neck = leave_out(tensors, _NECK)
        left_out += neck
    tensors = rename(tensors, _RULES)
    depth = count_blocks(tensors)
    # SAM's positions are (1, H, W, C); other vision transformers have (1, P+N, C)
    if PATCH not in tensors or tensors.get(POSITIONS, tensors[PATCH]).dim() != 4 or not depth:
        return Converted(state)  # not a file of SAM: strict loading lists the names
    check_size(encoder, (tensors[PATCH].shape[0], depth))
    resampled = [*_fit_positions(encoder, tensors), *_fit_tables(encoder, tensors)]
    return Converted(tensors, left_out, tuple(resampled))


def _fit_positions(encoder: SAMViT, tensors: dict[str, Tensor]) -> list[str]:
    table, grid = tensors.get(POSITIONS), encoder.patch_resolution
    if table is None or tuple(table.shape[1:3]) == tuple(grid):
        return []
    tensors[POSITIONS] = resize_map(table, grid)
    return [f'{POSITIONS} {table.shape[1]}x{table.shape[2]} -> {grid[0]}x{grid[1]}']


def _fit_tables(encoder: SAMViT, tensors: dict[str, Tensor]) -> list[str]:
    """Resizes the tables of relative positions in place; returns a note for each pair of sizes."""
    changes: dict[str, int] = {}
    for index, layer in enumerate(encoder.layers):
        for axis in ('h', 'w'):
            name = f'layers.{index}.attn.rel_pos_{axis}'
            rows = len(getattr(layer.attn, f'rel_pos_{axis}'))
            table = tensors.get(name)
            if table is None or len(table) == rows:
                continue
            if layer.attn.window_size:
                raise UserError(
                    f'the weights file has {len(table)} relative positions along an axis in block '
                    f'{index}, the encoder {rows}, for windows of {layer.attn.window_size}: set '
                    'window_size and arch.global_attn_indexes of the encoder to the file'
                )
            tensors[name] = resize_table(table, rows)
            change = f'{len(table)} -> {rows}'
            changes[change] = changes.get(change, 0) + 1
    return [f'{count} x rel_pos {change}' for change, count in changes.items()]
