"""BEiT of timm for images of any size: its attention has a table of relative positions.

B batch, N patch tokens, M method tokens, h heads, C channels, H x W grid. The class token is the
first token; the method's tokens follow it and have no relative positions.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Grid = tuple[int, int]


class Offsets(NamedTuple):
    """The relative positions of one pass, the same in all blocks.

    Attributes:
        index: (1+N, 1+N) int64, rows of a table for the image's grid.
        axes: Matrices that resample a table to that grid, of `table_axes`; None if it is its own.
        shared: (h, 1+N, 1+N) bias that all blocks share, or None.
    """

    index: Tensor
    axes: tuple[Tensor, Tensor] | None = None
    shared: Tensor | None = None


class SharedTable(nn.Module):
    """Table of relative positions that all blocks share, as in BEiT's pretraining.

    Args:
        table: (rows, h), the last three rows being of the class token.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.timm.biased import SharedTable, offsets
        >>> table = SharedTable(torch.nn.Parameter(torch.zeros(7 * 7 + 3, 2)))
        >>> table(offsets((4, 4), (4, 6), torch.device('cpu'))).shape
        torch.Size([2, 25, 25])
    """

    def __init__(self, table: nn.Parameter) -> None:
        super().__init__()
        self.relative_position_bias_table = table

    def forward(self, places: Offsets) -> Tensor:
        """Returns the (h, 1+N, 1+N) bias."""
        return relative_bias(self.relative_position_bias_table, places)


class BiasedAttention(nn.Module):
    """Attention of timm's BEiT, whose bias is resampled to the image and spares method tokens.

    Args:
        attention: timm's attention, with the biases of q, k and v in its linear; its modules and
            parameters are taken over under their names.
    """

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.num_heads, self.attn_drop = attention.num_heads, attention.attn_drop
        self.qkv, self.proj, self.proj_drop = attention.qkv, attention.proj, attention.proj_drop
        self.relative_position_bias_table = attention.relative_position_bias_table

    def forward(
        self, x: Tensor, shared_rel_pos_bias: Offsets, attn_mask: Tensor | None = None
    ) -> Tensor:
        """Returns (B, 1+M+N, C).

        Args:
            x: (B, 1+M+N, C).
            shared_rel_pos_bias: Under the name that timm's block gives it.
            attn_mask: (B, 1, 1+M+N, 1+M+N) bool, the tokens that each token attends to; None: all.
        """
        batch, length, _ = x.shape
        q, k, v = self.qkv(x).reshape(batch, length, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        bias = self._bias(shared_rel_pos_bias)
        if bias is not None:
            bias = _spare_prompts(bias, length - bias.shape[-1])
        if attn_mask is not None:
            bias = attn_mask if bias is None else bias.masked_fill(~attn_mask, float('-inf'))
        dropout = self.attn_drop.p if self.training else 0.0
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropout)
        return self.proj_drop(self.proj(out.transpose(1, 2).reshape(batch, length, -1)))

    def _bias(self, places: Offsets) -> Tensor | None:
        if self.relative_position_bias_table is None:
            return places.shared
        # (1, h, ...), and (h, ...) if shared alone, as in timm: kernels of attention differ
        own = relative_bias(self.relative_position_bias_table, places)[None]
        return own if places.shared is None else own + places.shared


def take_any_size(model: nn.Module) -> None:
    """Has timm's BEiT take images of any size; `biased_maps` then runs it."""
    for block in model.blocks:
        block.attn = BiasedAttention(block.attn)
    if model.rel_pos_bias is not None:
        model.rel_pos_bias = SharedTable(model.rel_pos_bias.relative_position_bias_table)
    model.patch_embed.strict_img_size = False


def biased_maps(model: nn.Module, image: Tensor, out_indices: Sequence[int]) -> list[Tensor]:
    """Returns (B, C, H, W) normed outputs of chosen blocks of a BEiT that takes any size.

    Args:
        model: After `take_any_size`.
        image: (B, 3, H p, W p), normalised.
        out_indices: Blocks, in rising order.
    """
    from timm.layers import resample_abs_pos_embed

    height, width = grid = model.patch_embed.dynamic_feat_size(image.shape[-2:])
    x = model.patch_embed(image)  # (B, N, C)
    x = torch.cat((model.cls_token.expand(len(x), -1, -1), x), dim=1)
    if model.pos_embed is not None:
        old = model.patch_embed.grid_size
        x = x + resample_abs_pos_embed(model.pos_embed, grid, old_size=old, num_prefix_tokens=1)
    x = model.pos_drop(x)
    places = offsets(model.patch_embed.grid_size, grid, x.device)
    if model.rel_pos_bias is not None:
        places = places._replace(shared=model.rel_pos_bias(places))
    maps = []
    for i, block in enumerate(model.blocks[: out_indices[-1] + 1]):
        x = block(x, shared_rel_pos_bias=places)
        if i in out_indices:
            patches = model.norm(x)[:, 1:].transpose(1, 2)  # the norm may be taken off
            maps.append(patches.reshape(len(x), -1, height, width).contiguous())
    return maps


def offsets(window: Grid, grid: Grid, device: torch.device) -> Offsets:
    """Returns the relative positions of a grid, in timm's numbering.

    Args:
        window: (H, W) of the tables.
        grid: (H, W) of the image.
        device: Of the tables.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.timm.biased import offsets
        >>> offsets((1, 2), (1, 2), torch.device('cpu')).index
        tensor([[5, 3, 3],
                [4, 1, 0],
                [4, 2, 1]])
    """
    from timm.models.beit import gen_relative_position_index

    axes = None
    if tuple(window) != tuple(grid):
        height, width = table_axes(*window, *grid)
        axes = height.to(device), width.to(device)
    return Offsets(gen_relative_position_index(grid, device=device), axes)


def relative_bias(table: Tensor, places: Offsets) -> Tensor:
    """Returns the (h, 1+N, 1+N) bias of a (rows, h) table, resampled to the grid of the image."""
    size = len(places.index)
    if places.axes is not None:
        table = resample_table(table, places.axes)
    return table[places.index.view(-1)].view(size, size, -1).permute(2, 0, 1).contiguous()


def resample_table(table: Tensor, axes: tuple[Tensor, Tensor]) -> Tensor:
    """Resamples a table of relative positions, on its device and with gradients.

    Args:
        table: (rows, h), the last three rows being of the class token.
        axes: Of `table_axes`.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.timm.biased import resample_table, table_axes
        >>> resample_table(torch.ones(7 * 7 + 3, 2), table_axes(4, 4, 4, 6)).shape
        torch.Size([80, 2])
    """
    rows, columns = (matrix.to(table) for matrix in axes)
    places = table[:-3].reshape(rows.shape[1], columns.shape[1], -1)
    resized = torch.einsum('ih,jw,hwc->ijc', rows, columns, places)
    return torch.cat((resized.flatten(0, 1), table[-3:]))


@torch.compiler.assume_constant_result
def table_axes(height: int, width: int, to_height: int, to_width: int) -> tuple[Tensor, Tensor]:
    """Returns the matrices that resample rows and columns of a table by timm's rule.

    Args:
        height: H of the table's grid.
        width: W of it.
        to_height: H of the image's grid.
        to_width: W of it.

    Returns:
        (2 H' - 1, 2 H - 1) and (2 W' - 1, 2 W - 1).

    Example:
        >>> from rein_seg.encoders.timm.biased import table_axes
        >>> [tuple(matrix.shape) for matrix in table_axes(4, 4, 4, 6)]
        [(7, 7), (11, 7)]
    """
    return _axis(height, to_height), _axis(width, to_width)


@functools.cache
def _axis(old: int, new: int) -> Tensor:
    """Returns the matrix of one axis.

    timm's rule takes the axes apart, so the matrix is read off tables that vary along one.
    """
    from timm.layers import resize_rel_pos_bias_table

    source, target = 2 * old - 1, 2 * new - 1
    units = torch.eye(source)[:, None].expand(-1, source, -1)  # (row, column, row of the unit)
    wider = old + 1  # a table that changes in no axis would be left as it is
    with warnings.catch_warnings():  # of PyTorch about timm's way of indexing
        warnings.simplefilter('ignore', UserWarning)
        resized = resize_rel_pos_bias_table(
            units.reshape(source * source, source),
            new_window_size=(new, wider),
            new_bias_shape=(target * (2 * wider - 1), source),
            old_window_size=(old, old),
        )
    return resized.reshape(target, -1, source)[:, 0]


def _spare_prompts(bias: Tensor, count: int) -> Tensor:
    """Returns the (..., h, 1+M+N, 1+M+N) bias that is zero for M method tokens."""
    if count == 0:
        return bias
    *ahead, size, _ = bias.shape
    zeros = bias.new_zeros(*ahead, count, size)
    bias = torch.cat((bias[..., :1, :], zeros, bias[..., 1:, :]), dim=-2)
    zeros = bias.new_zeros(*ahead, size + count, count)
    return torch.cat((bias[..., :1], zeros, bias[..., 1:]), dim=-1)
