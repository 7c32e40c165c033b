"""Checks of the feature pyramid transformer's arguments and maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from rein_seg.errors import UserError

T = TypeVar('T')

_ORDERS = ('intent', 'official')
_PYRAMID = 'model.neck=dict(type="FPN", out_channels=512, num_outs=3) behind three out_indices'
_TOKENS = 'model.neck=dict(type="TokenPyramid", factors=(2, 1, 0.5), out_channels=256)'


def check_options(
    num_layers: Any, sra_ratios: Any, drop_path_rates: Any, ape_sizes: Any, axis_order: Any
) -> int:
    """Returns L, the number of branches, after checking the arguments of `FPTHead`.

    Raises:
        UserError: If a list has not one entry for each branch, or each stage of a branch.
    """
    levels = len(num_layers) if isinstance(num_layers, (list, tuple)) else 0
    for name, lists in (('num_layers', num_layers), ('sra_ratios', sra_ratios)):
        if not levels or not _are_stages(lists, levels):
            raise UserError(
                f'FPTHead.{name}={lists!r}: expected a list for each branch, from coarse to fine, '
                'with a whole number for each stage: of L branches the first has L stages, the '
                'last has one, such as ((1, 1, 1), (1, 1), (1,))'
            )
    for name, values in (('drop_path_rates', drop_path_rates), ('ape_sizes', ape_sizes)):
        if values is not None and not (isinstance(values, (list, tuple)) and len(values) == levels):
            raise UserError(
                f'FPTHead.{name}={values!r}: expected a list of {levels}, one for each branch of '
                'num_layers'
            )
    if axis_order not in _ORDERS:
        raise UserError(f'FPTHead.axis_order={axis_order!r}: expected {" or ".join(_ORDERS)}')
    return levels


def check_levels(in_channels: Any, in_index: Any, levels: int, num_heads: int) -> int:
    """Returns C, the channels of the last ``levels`` maps.

    Raises:
        UserError: If there are fewer maps, their channels differ, or heads do not divide them.
    """
    if not isinstance(in_channels, (list, tuple)) or len(in_channels) < levels:
        raise UserError(
            f'FPTHead reads {levels} maps of a pyramid, and got in_index={in_index!r} with '
            f'channels {in_channels!r}: choose {levels} or more out_indices of the encoder, and '
            f'for a plain transformer {_TOKENS}'
        )
    channels = set(in_channels[-levels:])
    if len(channels) > 1:
        raise UserError(
            f'FPTHead got maps with {list(in_channels[-levels:])} channels: expected equal '
            f'channels; set {_PYRAMID}, or for a plain transformer {_TOKENS}'
        )
    width = channels.pop()
    if width % num_heads:
        raise UserError(
            f'FPTHead has num_heads={num_heads} and maps with {width} channels: expected a number '
            "of heads that divides them; change num_heads or the neck's out_channels"
        )
    return width


def check_strides(strides: Sequence[int]) -> int:
    """Returns the coarsest stride.

    Raises:
        UserError: If a stride is not twice the stride before.
    """
    if any(coarse != 2 * fine for fine, coarse in zip(strides, strides[1:], strict=False)):
        raise UserError(
            f'FPTHead got maps with strides {list(strides)}: expected each to be twice the stride '
            f'before, such as [8, 16, 32]; choose other out_indices of the encoder, or for a plain '
            f'transformer set {_TOKENS}'
        )
    return strides[-1]


def check_maps(
    sizes: Sequence[tuple[int, int]], ratios: Sequence[Sequence[int]], axis_order: str
) -> None:
    """Checks the sizes of the maps.

    Args:
        sizes: (H, W) of each map, from fine to coarse.
        ratios: Ratios of the stages of each branch, from coarse to fine.
        axis_order: Of the head.

    Raises:
        UserError: If a map is not twice the next, smaller than a kernel that reduces it, or, with
            the official order of axes, not square.
    """
    coarse = sizes[-1]
    wanted = [tuple(side * 2**i for side in coarse) for i in reversed(range(len(sizes)))]
    if list(sizes) != wanted:
        raise UserError(
            f'FPTHead got maps of sizes {_shown(sizes)}: expected each to be twice the next, such '
            f'as {_shown(wanted)}; give images whose sides are multiples of the stride of the '
            'coarsest map (32 pixels for strides 8, 16, 32)'
        )
    for size, ratio in stages(sizes, ratios):
        if min(size) < ratio:
            raise UserError(
                f'FPTHead got a map of {_shown([size])}, smaller than the {ratio} x {ratio} kernel '
                'of its sra_ratios: give larger images, or set smaller decode_head.sra_ratios'
            )
    if axis_order == 'official' and coarse[0] != coarse[1]:
        raise UserError(
            f'FPTHead.axis_order="official" got maps of {_shown(sizes)}: expected square maps, '
            'since every stage transposes them; give square images, or set axis_order="intent"'
        )


def stages(levels: Sequence[T], values: Sequence[Sequence[int]]) -> Iterator[tuple[T, int]]:
    """Yields the level that each stage of each branch works on, with the value of the stage.

    Args:
        levels: A value for each level, from fine to coarse.
        values: Values of the stages of each branch, from coarse to fine.

    Example:
        >>> from rein_seg.heads.fpt.checks import stages
        >>> list(stages([8, 16], [(1, 2), (3,)]))
        [(16, 1), (8, 2), (8, 3)]
    """
    for branch in values:
        yield from zip(levels[len(branch) - 1 :: -1], branch, strict=True)


def _are_stages(lists: Any, levels: int) -> bool:
    if not isinstance(lists, (list, tuple)) or len(lists) != levels:
        return False
    return all(
        isinstance(stages, (list, tuple))
        and len(stages) == levels - branch
        and all(type(value) is int and value > 0 for value in stages)
        for branch, stages in enumerate(lists)
    )


def _shown(sizes: Sequence[Sequence[int]]) -> str:
    return ', '.join(f'{height} x {width}' for height, width in sizes)
