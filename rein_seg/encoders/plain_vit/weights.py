"""Fits weights under mmpretrain's names to a plain vision transformer of another image size.

C channels, p patch side, R register tokens, H x W grid of positions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from rein_seg.encoders.plain_vit.model import PlainViT
from rein_seg.encoders.resampling import resize_patch_kernel, resize_positions
from rein_seg.encoders.weights import Converted
from rein_seg.errors import UserError

PATCH, POSITIONS, REGISTERS = 'patch_embed.projection.weight', 'pos_embed', 'register_tokens'
_SIZES = {  # by width and number of blocks
    (384, 12): 'ViT-S',
    (768, 12): 'ViT-B',
    (1024, 24): 'ViT-L',
    (1280, 32): 'ViT-H',
    (1536, 40): 'ViT-g',
}


def add_class_row(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Puts a row of zeros before positions that are a square grid without a class token (timm).

    In timm's models with registers the class token includes its position, so this is exact.
    """
    table = tensors.get(POSITIONS)
    if table is None or round(table.shape[1] ** 0.5) ** 2 != table.shape[1]:
        return dict(tensors)
    return {**tensors, POSITIONS: torch.cat((torch.zeros_like(table[:, :1]), table), dim=1)}


def fit_plain_vit(
    encoder: nn.Module,
    tensors: Mapping[str, Tensor],
    left_out: Sequence[str] = (),
    *,
    own_names: bool = False,
) -> Converted | None:
    """Resizes patch kernel and positions to the sizes of ``encoder``.

    Args:
        encoder: A mmpretrain `VisionTransformer`, or a subclass.
        tensors: Tensors by its names.
        left_out: Names of the file that are left out already.
        own_names: Whether the file has mmpretrain's names: then positions with as many rows as in
            the encoder are taken as they are. In other files, positions are a square grid.

    Returns:
        The fitted tensors, or None if they do not belong to a vision transformer.

    Raises:
        UserError: If they belong to a vision transformer of another size, or with another number of
            register tokens.
    """
    depth = count_blocks(tensors)
    if PATCH not in tensors or POSITIONS not in tensors or not depth:
        return None
    fitted = dict(tensors)
    check_size(encoder, (fitted[PATCH].shape[0], depth))
    _check_registers(encoder, fitted[REGISTERS].shape[1] if REGISTERS in fitted else 0)
    resampled = []
    # rows of the table without a place in the grid; registers have no row
    kernel, prefix = encoder.patch_embed.projection.kernel_size, encoder.num_extra_tokens
    if tuple(fitted[PATCH].shape[-2:]) != tuple(kernel):
        resampled.append(f'{PATCH} {_by(fitted[PATCH].shape[-2:])} -> {_by(kernel)}')
        fitted[PATCH] = resize_patch_kernel(fitted[PATCH], kernel)
    rows = fitted[POSITIONS].shape[1] - prefix
    grid = encoder.patch_resolution
    fitted[POSITIONS] = resize_positions(
        fitted[POSITIONS],
        grid,
        num_prefix=prefix,
        mode=encoder.interpolate_mode,
        antialias=isinstance(encoder, PlainViT) and encoder.antialias,
        align_corners=isinstance(encoder, PlainViT) and encoder.align_corners,
        same_grid=own_names,
    )
    if fitted[POSITIONS] is not tensors[POSITIONS]:
        side = round(rows**0.5)
        resampled.append(f'{POSITIONS} {_by((side, side))} -> {_by(grid)}')
    return Converted(fitted, tuple(left_out), tuple(resampled))


def count_blocks(tensors: Mapping[str, Tensor]) -> int:
    """Returns the number of blocks in a file under mmpretrain's names; 0 if it has none.

    Example:
        >>> from rein_seg.encoders.plain_vit.weights import count_blocks
        >>> count_blocks({'layers.0.ln1.bias': 0, 'layers.1.ln1.bias': 0, 'pos_embed': 0})
        2
    """
    found = (re.match(r'layers\.(\d+)\.', name) for name in tensors)
    return max((int(match[1]) + 1 for match in found if match), default=0)


def check_size(encoder: nn.Module, size: tuple[int, int]) -> None:
    """Checks that file and encoder have the same (width, blocks).

    Raises:
        UserError: If they differ.
    """
    own = (encoder.embed_dims, len(encoder.layers))
    if size != own:
        names = [_SIZES.get(s, 'ViT of no usual size') for s in (size, own)]
        raise UserError(
            f'the weights file is a {names[0]}: width {size[0]}, {size[1]} blocks; the encoder is '
            f'a {names[1]}: width {own[0]}, {own[1]} blocks; set encoder.arch to the file, or '
            'encoder.checkpoint to a file of this size'
        )


def _check_registers(encoder: nn.Module, registers: int) -> None:
    own = encoder.num_registers if isinstance(encoder, PlainViT) else 0
    if registers and registers != own:
        raise UserError(
            f'the weights file has {registers} register tokens, the encoder {own}: set '
            f"num_registers={registers} of type='DINOv2', or take a file without registers"
        )
    if own and not registers:
        raise UserError(
            f'the weights file has no register tokens, the encoder {own}: set num_registers=0 in '
            f'the encoder, or take the file with "_reg{own}" in its name'
        )


def _by(size: Sequence[int]) -> str:
    return 'x'.join(str(int(side)) for side in size)
