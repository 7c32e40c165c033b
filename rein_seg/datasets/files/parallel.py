"""Runs a function over many files in threads, and shows how far it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from rein_seg.progress import progress

T, R = TypeVar('T'), TypeVar('R')
_MOST = 8  # disks and memory seldom feed more threads


def in_parallel(
    function: Callable[[T], R],
    items: Sequence[T] | Iterable[T],
    *,
    title: str = '',
    workers: int | None = None,
) -> list[R]:
    """Calls the function with each item in threads; returns its values in order.

    Threads suffice: decoding pictures releases Python's lock.

    Args:
        function: Called with each item.
        items: Its arguments.
        title: Name of the work, which `progress` shows; '' shows nothing.
        workers: Number of threads; None takes one a core, eight at most.

    Example:
        >>> from rein_seg.datasets.files.parallel import in_parallel
        >>> in_parallel(len, ['a', 'bcd', ''])
        [1, 3, 0]
    """
    items = list(items)
    pool = ThreadPoolExecutor(workers or default_workers())
    try:
        results = pool.map(function, items)
        return list(progress(results, total=len(items), what=title) if title else results)
    finally:
        pool.shutdown(cancel_futures=True)  # after an error or Ctrl-C nothing more is read


def default_workers() -> int:
    """Returns one thread a core, eight at most."""
    return min(_MOST, os.cpu_count() or 1)
