"""SIGTERM ends a program as Ctrl-C does."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

from rein_seg.errors import Terminated


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Has SIGTERM raise `Terminated` in the block: files stay whole, child processes end.

    Does nothing outside of the main thread, nor under torchrun, where a rank that waits for the
    others in a collective would not notice.

    Example:
        >>> import os, signal
        >>> from rein_seg.errors import Terminated
        >>> from rein_seg.signals import terminable
        >>> with terminable():
        ...     try:
        ...         os.kill(os.getpid(), signal.SIGTERM)
        ...     except Terminated:
        ...         print('stopped')
        stopped
    """
    if 'RANK' in os.environ or threading.current_thread() is not threading.main_thread():
        yield
        return
    owner = os.getpid()

    def terminate(number: int, frame: object) -> None:
        if os.getpid() != owner:  # a forked worker: its parent ends it in this way
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
