"""The request for a drawn picture: (seed, domain, split, index, size)."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from rein_seg.errors import UserError, near_misses

SPLITS = ('train', 'val', 'test')
SMALLEST, LARGEST = 32, 4096


def check_request(
    domain: str, split: str, *, domains: Sequence[str], seed: int, size: tuple[int, int]
) -> None:
    """Checks domain, split, seed and size of a data set.

    Raises:
        ValueError: If domain is not one of domains or split not one of SPLITS, seed is negative, or
            a side of size is not a whole number from SMALLEST to LARGEST.
    """
    for name, got, known in (('domain', domain, domains), ('split', split, SPLITS)):
        if got not in known:
            raise UserError(
                f'{name}: got {got!r}, expected one of {known}; {near_misses(got, known)}'
            )
    if seed < 0:
        raise UserError(f'seed: got {seed}, expected a whole number >= 0')
    fits = (
        isinstance(size, (tuple, list))
        and len(size) == 2
        and all(
            isinstance(side, (int, np.integer)) and SMALLEST <= side <= LARGEST for side in size
        )
    )
    if not fits:
        raise UserError(
            f'size: got {size!r}, expected (width, height), two whole numbers of '
            f'pixels from {SMALLEST} to {LARGEST}, such as (256, 128)'
        )


def generators(
    domain: str, split: str, index: int, *, seed: int, number: int
) -> list[np.random.Generator]:
    """Returns independent random generators for a picture.

    Raises:
        ValueError: If index is negative.

    Example:
        >>> from rein_seg.scenes.drawing.request import generators
        >>> first, again = (generators('fog', 'val', 3, seed=0, number=1)[0] for _ in range(2))
        >>> first.random() == again.random()
        True
    """
    if index < 0:
        raise UserError(f'index: got {index}, expected a whole number >= 0')
    # crc32, since Python salts its own hash of strings anew in each process
    entropy = (seed, zlib.crc32(domain.encode()), zlib.crc32(split.encode()), index)
    return [np.random.default_rng(s) for s in np.random.SeedSequence(entropy).spawn(number)]
