"""Fits weights under mmpretrain's names to a plain vision transformer: size, registers, sampling.

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
_SIZES = {
    (384, 12): 'ViT-S',
    (768, 12): 'ViT-B',
    (1024, 24): 'ViT-L',
    (1280, 32): 'ViT-H',
    (1536, 40): 'ViT-g',
}


def add_class_row(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Puts a row of zeros before positions that are a square grid alone, as timm's are.

    In timm's models with registers the class token holds its position already, so this is exact.
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
    """Resamples patch kernel and positions to ``encoder``'s, after a look at what the file is.

    Args:
        encoder: A mmpretrain `VisionTransformer`, or a subclass.
        tensors: By its names.
        left_out: Names of the file that are left out already.
        own_names: Whether the file had mmpretrain's names: then positions of as many rows as the
            encoder has are taken as they are. Those of other files are of a square grid.

    Returns:
        None if the tensors are not those of a vision transformer.

    Raises:
        UserError: If they are those of a vision transformer of another size, or have another
            number of register tokens.
    """
    depth = count_blocks(tensors)
    if PATCH not in tensors or POSITIONS not in tensors or not depth:
        return None
    fitted = dict(tensors)
    check_size(encoder, (fitted[PATCH].shape[0], depth))
    _check_registers(encoder, fitted[REGISTERS].shape[1] if REGISTERS in fitted else 0)
    resampled = []
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
        same_grid=own_names,
    )
    if fitted[POSITIONS] is not tensors[POSITIONS]:
        side = round(rows**0.5)
        resampled.append(f'{POSITIONS} {_by((side, side))} -> {_by(grid)}')
    return Converted(fitted, tuple(left_out), tuple(resampled))


def count_blocks(tensors: Mapping[str, Tensor]) -> int:
    """Returns how many blocks a file under mmpretrain's names has; 0 if it is of no transformer."""
    found = (re.match(r'layers\.(\d+)\.', name) for name in tensors)
    return max((int(match[1]) + 1 for match in found if match), default=0)


def check_size(encoder: nn.Module, size: tuple[int, int]) -> None:
    """Checks that a file's (width, blocks) are the encoder's.

    Raises:
        UserError: If they are not.
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
