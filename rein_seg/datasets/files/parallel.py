"""Runs a function over many files in threads, with a bar that shows the time left."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

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
        title: Text beside the bar on stderr; '' shows no bar. If stderr is not a terminal, a single
            line is written at the end.
        workers: Number of threads; None takes one a core, eight at most.

    Example:
        >>> from rein_seg.datasets.files.parallel import in_parallel
        >>> in_parallel(len, ['a', 'bcd', ''])
        [1, 3, 0]
    """
    items = list(items)
    pool = ThreadPoolExecutor(workers or default_workers())
    bar = make_bar('{task.description}', shown=bool(title))
    try:
        with bar:
            return list(bar.track(pool.map(function, items), len(items), description=title))
    finally:
        pool.shutdown(cancel_futures=True)  # after an error or Ctrl-C nothing more is read


def make_bar(text: str, *, shown: bool) -> Progress:
    """Returns a progress bar on stderr: ``text`` of its task, count, elapsed and remaining time."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(TextColumn(text), *columns, console=Console(stderr=True), disable=not shown)


def default_workers() -> int:
    """Returns one thread a core, eight at most."""
    return min(_MOST, os.cpu_count() or 1)
