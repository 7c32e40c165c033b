"""Selects pairs whose label has the size of its image, from the files' headers alone."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from rein_seg.datasets.files.label_files import image_sizes
from rein_seg.datasets.files.pairing import Pair

_THREADS = 8


def of_one_size(pairs: Sequence[Pair]) -> list[Pair]:
    """Returns the pairs whose image and label can load at the same size.

    Raises:
        UserError: If a header cannot be read.
    """

    def fits(pair: Pair) -> bool:
        return bool(image_sizes(str(pair[0])) & image_sizes(str(pair[1])))

    with ThreadPoolExecutor(_THREADS) as pool:
        return [pair for pair, good in zip(pairs, pool.map(fits, pairs), strict=True) if good]
