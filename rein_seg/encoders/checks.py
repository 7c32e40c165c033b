"""Checks of an encoder's arguments, before anything is built from them.

Each error names the argument, its value and the values that it can have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rein_seg.errors import UserError, near_misses

ARCH_SIZES = ('embed_dims', 'num_layers', 'num_heads', 'feedforward_channels')


def check_config(args: Mapping[str, Any]) -> None:
    """Refuses ``init_cfg`` in an encoder's arguments: it would have no effect.

    Raises:
        UserError: If it is there.

    Example:
        >>> from rein_seg.encoders.checks import check_config
        >>> check_config(dict(img_size=512))
    """
    if args.get('init_cfg') is not None:
        raise UserError(
            f'encoder.init_cfg={args["init_cfg"]!r} would have no effect: give '
            'checkpoint=FILE, which loads strictly when the encoder is built'
        )


def check_count(name: str, value: Any, *, least: int = 1) -> int:
    """Returns the argument ``name``, which must be a whole number of at least ``least``.

    Raises:
        UserError: If it is not.

    Example:
        >>> from rein_seg.encoders.checks import check_count
        >>> check_count('patch_size', 16)
        16
        >>> check_count('patch_size', 0)
        Traceback (most recent call last):
        rein_seg.errors.UserError: encoder.patch_size=0: expected a whole number, 1 or more
    """
    # a bool is an int in Python, but no number in a config
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UserError(f'encoder.{name}={value!r}: expected a whole number, {least} or more')
    return value


def check_flag(name: str, value: Any) -> bool:
    """Returns the argument ``name``, which must be True or False.

    Raises:
        UserError: If it is not.

    Example:
        >>> from rein_seg.encoders.checks import check_flag
        >>> check_flag('final_norm', 'yes')
        Traceback (most recent call last):
        rein_seg.errors.UserError: encoder.final_norm='yes': expected True or False
    """
    if not isinstance(value, bool):
        raise UserError(f'encoder.{name}={value!r}: expected True or False')
    return value


def check_number(name: str, value: Any) -> float:
    """Returns the argument ``name``, which must be a number.

    Raises:
        UserError: If it is not.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UserError(f'encoder.{name}={value!r}: expected a number')
    return value


def drop_path_rates(rate: Any, blocks: int) -> list[float]:
    """Returns the rate of stochastic depth of each block, from 0 up to the argument's, linearly.

    Raises:
        UserError: If ``drop_path_rate`` is no probability below 1.

    Example:
        >>> from rein_seg.encoders.checks import drop_path_rates
        >>> drop_path_rates(0.2, 3)
        [0.0, 0.1, 0.2]
    """
    if not 0 <= check_number('drop_path_rate', rate) < 1:
        raise UserError(f'encoder.drop_path_rate={rate}: expected a number from 0 to below 1')
    return [rate * block / max(blocks - 1, 1) for block in range(blocks)]


def check_stages(arch: Mapping[str, Any], keys: Sequence[str]) -> None:
    """Checks that sizes of an architecture are lists of whole numbers, one for each stage.

    Args:
        arch: The sizes.
        keys: Sizes to check.

    Raises:
        UserError: If they are not.

    Example:
        >>> from rein_seg.encoders.checks import check_stages
        >>> check_stages(dict(depths=[1, 2], num_heads=[1]), ('depths', 'num_heads'))
        Traceback (most recent call last):
        rein_seg.errors.UserError: encoder.arch has depths=[1, 2], num_heads=[1]: expected lists,
        one number for each stage
    """
    lists = [arch[key] for key in keys]
    listed = all(isinstance(value, (list, tuple)) and value for value in lists)
    if not listed or len({len(value) for value in lists}) > 1:
        given = ', '.join(f'{key}={arch[key]!r}' for key in keys)
        raise UserError(f'encoder.arch has {given}: expected lists, one number for each stage')
    for key, values in zip(keys, lists, strict=True):
        for stage, value in enumerate(values):
            check_count(f'arch.{key}[{stage}]', value)


def check_heads(widths: Sequence[int], num_heads: Sequence[int]) -> None:
    """Checks that the heads of each stage divide its width.

    Raises:
        UserError: If they do not.

    Example:
        >>> from rein_seg.encoders.checks import check_heads
        >>> check_heads((32, 64), (1, 2))
    """
    for stage, (width, heads) in enumerate(zip(widths, num_heads, strict=True)):
        if width % heads:
            raise UserError(
                f'encoder.arch has {width} channels and {heads} heads in stage {stage}: expected a '
                'width that the number of heads divides'
            )


def check_image_size(img_size: Any, patch_size: int) -> None:
    """Checks that ``img_size`` is a side in pixels, or two sides, of at least one patch.

    Raises:
        UserError: If it is not.
    """
    sides = [img_size] if isinstance(img_size, int) else img_size
    pair = isinstance(sides, (list, tuple)) and (len(sides) == 2 or sides == [img_size])
    if not pair or not all(type(side) is int and side >= patch_size for side in sides):
        raise UserError(
            f'encoder.img_size={img_size!r}: expected a side in pixels, or (height, width), each '
            f'at least patch_size={patch_size}'
        )


def check_smallest_side(kind: str, size: Sequence[int], least: int) -> None:
    """Checks that an image is not too small for an encoder.

    Args:
        kind: Name of the encoder, for the message.
        size: (H, W) of the image in pixels.
        least: Shortest side in pixels.

    Raises:
        UserError: If it is; the message names the size that would do.

    Example:
        >>> from rein_seg.encoders.checks import check_smallest_side
        >>> check_smallest_side('PVT', (20, 64), 32)
        Traceback (most recent call last):
        rein_seg.errors.UserError: PVT takes images with sides of 32 pixels or more, not (20, 64)
        (height, width): resize or pad to (32, 64)
    """
    if min(size) < least:
        fits = tuple(max(side, least) for side in size)
        raise UserError(
            f'{kind} takes images with sides of {least} pixels or more, not {tuple(size)} '
            f'(height, width): resize or pad to {fits}'
        )


def check_listed(name: str, indices: Any, *, unit: str = 'blocks') -> None:
    """Checks that the argument ``name`` is None or a list of whole numbers, and not empty.

    Raises:
        UserError: If it is not.
    """
    listed = isinstance(indices, (list, tuple)) and len(indices) > 0
    if indices is not None and not (listed and all(type(i) is int for i in indices)):
        raise UserError(f'encoder.{name}={indices!r}: expected a list of {unit}, such as [0, 1]')


def default_out_indices(depth: int) -> list[int]:
    """Returns the last block of each quarter of the depth; of 24 blocks, the choice of Rein.

    Example:
        >>> from rein_seg.encoders.checks import default_out_indices
        >>> default_out_indices(12), default_out_indices(24)
        ([2, 5, 8, 11], [7, 11, 15, 23])
    """
    if depth == 24:
        return [7, 11, 15, 23]
    return sorted({depth * quarter // 4 - 1 for quarter in range(1, 5)} - {-1})


def check_out_indices(
    indices: Sequence[int], depth: int, *, unit: str, name: str = 'out_indices'
) -> tuple[int, ...]:
    """Returns ``indices`` as a tuple; they must name some of ``depth`` units, in rising order.

    Raises:
        UserError: If an index lies outside 0..depth-1, or they do not rise: an encoder emits its
            maps in forward order, once each, whatever the order of the indices.
    """
    chosen = tuple(int(index) for index in indices)
    if any(not 0 <= index < depth for index in chosen):
        raise UserError(
            f'{name}={list(chosen)} goes beyond the encoder: it has {depth} {unit}, '
            f'so indexes run from 0 to {depth - 1}'
        )
    if list(chosen) != sorted(set(chosen)):
        raise UserError(
            f'{name}={list(chosen)} must rise without repeats: maps come out in forward order'
        )
    return chosen


def arch_sizes(
    arch: Any,
    archs: Mapping[str, Mapping[str, Any]],
    keys: Sequence[str],
    *,
    optional: Sequence[str] = (),
) -> dict[str, Any]:
    """Returns the sizes of an architecture, given by name or as a dict.

    Args:
        arch: The argument ``arch`` of an encoder.
        archs: Sizes by name.
        keys: Sizes that a dict must give.
        optional: Sizes that a dict can give.

    Raises:
        UserError: If the name is unknown, or the dict has other keys.

    Example:
        >>> from rein_seg.encoders.checks import arch_sizes
        >>> arch_sizes('tiny', {'tiny': dict(width=192, depth=8)}, ('width', 'depth'))
        {'width': 192, 'depth': 8}
    """
    if isinstance(arch, str) and arch in archs:
        return dict(archs[arch])
    wanted = f'a dict of {", ".join((*keys, *optional))}'
    if isinstance(arch, str):
        raise UserError(f'encoder.arch={arch!r}: {near_misses(arch, archs)} Or give {wanted}.')
    if not isinstance(arch, Mapping) or set(arch) - set(optional) != set(keys):
        raise UserError(f'encoder.arch={arch!r}: expected {", ".join(archs)}, or {wanted}')
    return dict(arch)


def check_arch(arch: Mapping[str, Any]) -> None:
    """Checks the sizes of a plain transformer, `ARCH_SIZES`.

    Raises:
        UserError: If a size is not a whole number of at least 1, or the heads do not divide the
            width.
    """
    for key in ARCH_SIZES:
        check_count(f'arch.{key}', arch[key])
    if arch['embed_dims'] % arch['num_heads']:
        raise UserError(
            f'encoder.arch has embed_dims={arch["embed_dims"]} and num_heads={arch["num_heads"]}: '
            'expected a width that the number of heads divides'
        )
