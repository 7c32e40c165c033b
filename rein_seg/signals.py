"""SIGTERM ends a program as Ctrl-C does; a training run ends after a whole iteration."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass

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


@dataclass
class StopRequest:
    """Whether a signal has asked a run to stop.

    Attributes:
        number: Of the signal; 0 before it comes.
    """

    number: int = 0

    def error(self, message: str) -> KeyboardInterrupt:
        """Returns the exception that ends the program as the signal would."""
        kind = Terminated if self.number == signal.SIGTERM else KeyboardInterrupt
        return kind(message)


@contextlib.contextmanager
def stoppable() -> Iterator[StopRequest]:
    """Yields a request that the first SIGTERM or SIGINT sets; a second signal ends at once.

    For work that must come to a whole step before it stops. An ignored SIGINT stays ignored. Does
    nothing outside of the main thread.

    Example:
        >>> import os, signal
        >>> from rein_seg.signals import stoppable
        >>> with stoppable() as stop:
        ...     os.kill(os.getpid(), signal.SIGTERM)
        ...     stop.number == signal.SIGTERM
        True
    """
    request, owner = StopRequest(), os.getpid()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def note(number: int, frame: object) -> None:
        if os.getpid() != owner:  # a forked worker
            if number == signal.SIGTERM:  # its parent ends it
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
            return  # of Ctrl-C: its parent goes on until the step is whole
        request.number = number
        restore()
        # a handler must not use a logger, whose lock the interrupted code may hold
        name = signal.Signals(number).name
        os.write(2, f'{name}: stops when the step is whole; again: at once\n'.encode())

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    before = {number: handler for number, handler in before.items() if handler != signal.SIG_IGN}
    for number in before:
        signal.signal(number, note)
    try:
        yield request
    finally:
        restore()
