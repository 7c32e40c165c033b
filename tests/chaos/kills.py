"""Ways to kill a command: after some seconds, or before or after its N-th change of a file name."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

# each changes a name, or makes content durable: between two of them a crash can leave a mess
_CHANGES = ('replace', 'rename', 'unlink', 'remove', 'mkdir', 'fsync')


@dataclass(frozen=True)
class Kill:
    """When a process kills itself with SIGKILL.

    Attributes:
        seconds: After so many seconds; None: at a file.
        change: Number of the change of a file name, from 1.
        before: Whether the change is not made any more.
        rank: Process of a distributed run.
    """

    seconds: float | None = None
    change: int = 0
    before: bool = True
    rank: int = 0

    def earlier(self) -> Kill:
        """Returns a kill that comes earlier."""
        if self.seconds is None:
            return replace(self, change=self.change // 2)
        return replace(self, seconds=0.7 * self.seconds)

    def arm(self, rank: int = 0) -> None:
        """Prepares the kill in this process, if it is the one."""
        if rank != self.rank:
            return
        if self.seconds is None:
            count_changes(self._at_change)
        else:
            timer = threading.Timer(self.seconds, _die)
            timer.daemon = True
            timer.start()

    def _at_change(self, number: int, done: bool) -> None:
        if number == self.change and done != self.before:
            _die()


def count_changes(note: Callable[[int, bool], None]) -> None:
    """Calls ``note`` before and after each change, with its number and whether it is done."""
    count = 0

    def counting(change: Callable) -> Callable:
        def counted(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            number = count
            note(number, False)
            result = change(*args, **kwargs)
            note(number, True)
            return result

        return counted

    for name in _CHANGES:
        setattr(os, name, counting(getattr(os, name)))


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
