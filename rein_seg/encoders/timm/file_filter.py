"""timm's own reading of official weights files: names, shapes, and sizes of their images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.checkpoint.tensors import shown
from rein_seg.encoders.resampling import resize_positions
from rein_seg.encoders.timm.filters import family_filter
from rein_seg.errors import UserError

_TABLE = 'relative_position_bias_table'


def filter_file(
    state: Mapping[str, Tensor], whole: nn.Module, name: str, *, same_grid: bool = False
) -> dict[str, Tensor]:
    """Returns a weights file by timm's names, in the sizes of a model.

    timm's filter resizes the positions of most models. Two kinds that it leaves are resized by
    timm's rule for the same kind in other models: absolute positions, and tables of relative
    positions of a window.

    Args:
        state: Tensors by name.
        whole: The model as timm builds it, with its head, with or without values.
        name: timm's name.
        same_grid: Positions of as many places as the model's have its grid; else they are of a
            square if they can be.

    Raises:
        UserError: If timm cannot read the file.

    Example:
        >>> import timm, torch
        >>> from rein_seg.encoders.timm.file_filter import filter_file
        >>> model = timm.create_model('hiera_tiny_224', img_size=64)
        >>> file = {'pos_embed_abs': torch.zeros(1, 56 * 56, 96)}
        >>> {k: tuple(v.shape) for k, v in filter_file(file, model, 'hiera_tiny_224').items()}
        {'pos_embed': (1, 256, 96)}
    """
    read, filtered = family_filter(name), dict(state)
    if read is not None:
        try:
            filtered = dict(read(filtered, whole))
        except Exception as error:  # timm's filters index by name without checking
            raise UserError(
                f'timm cannot read the weights file for {name!r} ({type(error).__name__}: '
                f'{shown(error, 200)}); give the file of this model'
            ) from error
    own = whole.state_dict()
    for key in [key for key in filtered if key in own]:
        filtered[key] = _resized(filtered[key], own[key], whole, key, same_grid)
    return filtered


def _resized(value: Tensor, own: Tensor, whole: nn.Module, key: str, same_grid: bool) -> Tensor:
    """Returns positions of another size in the model's, other tensors as they are."""
    owner = whole.get_submodule(key.rpartition('.')[0])
    if key == 'pos_embed' and value.dim() == own.dim() == 3 and hasattr(owner, 'mask_unit_size'):
        grid = tuple(owner.tokens_spatial_shape)  # Hiera
        return resize_positions(value, grid, num_prefix=0, antialias=True, same_grid=same_grid)
    if value.shape == own.shape or value.dim() != own.dim():
        return value
    if 'pos_embed' in key and value.dim() == 4 and value.shape[:2] == own.shape[:2]:
        how: dict[str, Any] = dict(mode='bicubic', antialias=True, align_corners=False)
        return F.interpolate(value.float(), size=own.shape[-2:], **how)
    if key.endswith(_TABLE) and value.shape[1:] == own.shape[1:]:
        from timm.layers import resize_rel_pos_bias_table

        return resize_rel_pos_bias_table(
            value, new_window_size=owner.window_size, new_bias_shape=own.shape
        )
    return value
