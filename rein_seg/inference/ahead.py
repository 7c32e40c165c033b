"""Work in a thread, an item ahead: the next image is decoded while the model computes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar('T')


def ahead(items: Iterable[T]) -> Iterator[T]:
    """Yields the items of an iterable; the next is made in a thread meanwhile.

    At most two items are in memory. An exception is raised where the item would come.

    Example:
        >>> from rein_seg.inference.ahead import ahead
        >>> list(ahead(number**2 for number in range(4)))
        [0, 1, 4, 9]
    """
    end = object()
    iterator = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix='ahead') as pool:
        following = pool.submit(next, iterator, end)
        while (item := following.result()) is not end:
            following = pool.submit(next, iterator, end)
            yield item  # type: ignore[misc]
            del item
