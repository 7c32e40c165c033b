"""One function over many files, in threads, with a bar that says how long it will take."""

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
_MOST = 8


def in_parallel(
    function: Callable[[T], R],
    items: Sequence[T] | Iterable[T],
    *,
    title: str = '',
    workers: int | None = None,
) -> list[R]:
    """Returns the function's values, in order. Decoding pictures lets threads run side by side.

    Args:
        function: Called with each item.
        items: What to call it with.
        title: What the bar says, on stderr; '' shows none. Where stderr is no terminal, one line
            comes at the end.
        workers: Threads; None takes one a core, eight at most.
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
    """Returns a bar on stderr: ``text`` of its task, count, time gone and time left."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(TextColumn(text), *columns, console=Console(stderr=True), disable=not shown)


def default_workers() -> int:
    """Returns one a core, eight at most."""
    return min(_MOST, os.cpu_count() or 1)
