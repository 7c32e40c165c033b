"""Sizes of the published PVTs, and checks of sizes given as a dict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rein_seg.encoders.checks import arch_sizes, check_heads, check_stages
from rein_seg.errors import UserError, near_misses

KEYS = ('version', 'embed_dims', 'num_heads', 'mlp_ratios', 'depths')
_OPTIONS = ('sr_ratios', 'linear', 'qkv_bias')
_LISTS = ('embed_dims', 'num_heads', 'mlp_ratios', 'depths', 'sr_ratios')
_RATIOS = (8, 4, 2, 1)
VERSIONS = ('v1', 'v2')
_WIDE, _NARROW = (64, 128, 320, 512), (32, 64, 160, 256)


@dataclass(frozen=True)
class Arch:
    """Sizes of a PVT, a number for each stage.

    Attributes:
        version: v1, or v2.
        embed_dims: C.
        num_heads: Heads of the attention; they divide C.
        mlp_ratios: Width of the feed-forward, as a multiple of C.
        depths: Blocks.
        sr_ratios: Side of the patches that the attention joins into one key; 1 joins none.
        linear: Whether the attention pools its keys to 7 x 7 instead (v2).
        qkv_bias: Whether queries, keys and values have a bias.
    """

    version: str
    embed_dims: Sequence[int]
    num_heads: Sequence[int]
    mlp_ratios: Sequence[int]
    depths: Sequence[int]
    sr_ratios: Sequence[int]
    linear: bool = False
    qkv_bias: bool = True


def _v1(*depths: int) -> dict[str, Any]:
    return _arch('v1', _WIDE, (8, 8, 4, 4), depths)


def _v2(*depths: int, ratios: Sequence[int] = (8, 8, 4, 4), **options: Any) -> dict[str, Any]:
    return {**_arch('v2', _WIDE, ratios, depths), **options}


def _arch(
    version: str, widths: Sequence[int], ratios: Sequence[int], depths: Sequence[int]
) -> dict[str, Any]:
    return dict(zip(KEYS, (version, widths, (1, 2, 5, 8), ratios, depths), strict=True))


ARCHS = {
    'v1_tiny': _v1(2, 2, 2, 2),
    'v1_small': _v1(3, 4, 6, 3),
    'v1_medium': _v1(3, 4, 18, 3),
    'v1_large': _v1(3, 8, 27, 3),
    'v2_b0': _arch('v2', _NARROW, (8, 8, 4, 4), (2, 2, 2, 2)),
    'v2_b1': _v2(2, 2, 2, 2),
    'v2_b2': _v2(3, 4, 6, 3),
    'v2_b2_li': _v2(3, 4, 6, 3, linear=True),
    'v2_b3': _v2(3, 4, 18, 3),
    'v2_b4': _v2(3, 8, 27, 3),
    'v2_b5': _v2(3, 6, 40, 3, ratios=(4, 4, 4, 4)),
}


def make_arch(arch: str | Mapping[str, Any]) -> Arch:
    """Returns checked sizes.

    Args:
        arch: Name in `ARCHS`, or a dict of `KEYS` and, optionally, sr_ratios (8, 4, 2, 1), linear
            and qkv_bias.

    Raises:
        UserError: If the name is unknown, a key is missing or unknown, or a size is no whole
            number, the lists differ in length, or heads do not divide a width.

    Example:
        >>> from rein_seg.encoders.pvt.archs import make_arch
        >>> make_arch('v2_b5').depths, make_arch('v2_b2_li').linear
        ((3, 6, 40, 3), True)
    """
    sizes = arch_sizes(arch, ARCHS, KEYS, optional=_OPTIONS)
    if sizes['version'] not in VERSIONS:
        version = sizes['version']
        raise UserError(f'encoder.arch.version={version!r}; {near_misses(str(version), VERSIONS)}')
    sizes.setdefault('sr_ratios', _RATIOS)
    if isinstance(sizes['depths'], (list, tuple)) and len(sizes['depths']) < len(_RATIOS):
        sizes['sr_ratios'] = sizes['sr_ratios'][: len(sizes['depths'])]
    check_stages(sizes, _LISTS)
    check_heads(sizes['embed_dims'], sizes['num_heads'])
    for key in ('linear', 'qkv_bias'):
        if not isinstance(sizes.get(key, False), bool):
            raise UserError(f'encoder.arch.{key}={sizes[key]!r}: expected True or False')
    made = Arch(**{key: tuple(v) if key in _LISTS else v for key, v in sizes.items()})
    if made.linear and made.version == 'v1':
        raise UserError(
            "encoder.arch has linear=True with version='v1': only v2 has it; leave it out"
        )
    return made
