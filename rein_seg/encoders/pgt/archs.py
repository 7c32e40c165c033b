"""Sizes of PGT."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rein_seg.encoders.checks import (
    arch_sizes,
    check_count,
    check_heads,
    check_number,
    check_stages,
)
from rein_seg.errors import UserError

_ARCH_KEYS = ('embed_dims', 'depths', 'num_heads', 'group_nums')
_PADDINGS = ('intent', 'official')


def _arch(width: int, depths: Sequence[int]) -> dict[str, Any]:
    heads = [width * 2**stage // 32 for stage in range(4)]
    return dict(zip(_ARCH_KEYS, (width, list(depths), heads, [64, 16, 1, 1]), strict=True))


ARCHS = {
    'tiny': _arch(64, (2, 2, 6, 2)),
    'small': _arch(96, (2, 2, 6, 2)),
    'base': _arch(96, (2, 2, 18, 2)),
    'large': _arch(128, (2, 2, 18, 2)),
}


def find_sizes(arch: Any) -> dict[str, Any]:
    """Returns the sizes of an architecture, by name or as a dict, after checking them.

    Raises:
        UserError: If a size does not fit the others.
    """
    arch = arch_sizes(arch, ARCHS, _ARCH_KEYS)
    check_count('arch.embed_dims', arch['embed_dims'])
    check_stages(arch, _ARCH_KEYS[1:])
    widths = [arch['embed_dims'] * 2**stage for stage in range(len(arch['depths']))]
    check_heads(widths, arch['num_heads'])
    for stage, groups in enumerate(arch['group_nums']):
        if math.isqrt(groups) ** 2 != groups:
            near = math.isqrt(groups)
            raise UserError(
                f'encoder.arch.group_nums[{stage}]={groups}: expected a square number, g x g '
                f'groups, such as {near**2} or {(near + 1) ** 2}'
            )
    return arch


def check_options(mlp_ratio: Any, padding: Any) -> None:
    """Checks the other arguments of `PGT`.

    Raises:
        UserError: If one has another kind of value.
    """
    if check_number('mlp_ratio', mlp_ratio) <= 0:
        raise UserError(f'encoder.mlp_ratio={mlp_ratio}: expected a number above 0')
    if padding not in _PADDINGS:
        raise UserError(f'encoder.padding={padding!r}: expected {" or ".join(_PADDINGS)}')
