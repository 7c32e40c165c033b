"""The images of a data set, for steps of its pipeline that take a second image."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import PurePath


class ReferencePool:
    r"""Paths of the images of a data set, listed on first use.

    Args:
        list_paths: Returns the paths.

    Example:
        >>> from rein_seg.datasets.files.reference_pool import ReferencePool
        >>> pool = ReferencePool(lambda: ['a/1.png', 'a/cju1.jpg', 'a/22.png'])
        >>> pool.by_name(r'\d+')
        (['a/1.png', 'a/22.png'], ['a/cju1.jpg'])
    """

    def __init__(self, list_paths: Callable[[], Sequence[str]]) -> None:
        self._list_paths = list_paths
        self._by_name: dict[str, tuple[list[str], list[str]]] = {}

    def __deepcopy__(self, memo: dict) -> ReferencePool:
        """Returns itself: a step that copies a sample must not copy the data set behind it."""
        return self

    @cached_property
    def paths(self) -> list[str]:
        """All paths, in the order of the data set."""
        return list(self._list_paths())

    def by_name(self, pattern: str) -> tuple[list[str], list[str]]:
        """Returns the paths whose names fit a pattern, and the other paths.

        Args:
            pattern: Regular expression of a whole file name without its suffix.
        """
        if pattern not in self._by_name:
            fitting: list[str] = []
            others: list[str] = []
            for path in self.paths:
                fits = re.fullmatch(pattern, PurePath(path).stem)
                (others if fits is None else fitting).append(path)
            self._by_name[pattern] = fitting, others
        return self._by_name[pattern]
