"""Progress of long work: a bar where a person watches, plain lines in a file."""

from __future__ import annotations

import contextlib
import datetime
import multiprocessing
import operator
import os
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, TextIO, TypeVar

T = TypeVar('T')

SHORT = 2.0  # seconds: shorter work says nothing in a file
BETWEEN_LINES, BETWEEN_FRAMES = 10.0, 0.1
_WINDOW = 60.0  # seconds that the shown rate looks back
_active: list[Meter] = []


def progress(
    iterable: Iterable[T], *, total: int | None = None, what: str = 'images', unit: str = 'images'
) -> Iterator[T]:
    """Yields the items of an iterable, and shows on stderr how far the work is.

    A terminal gets a bar with rate and remaining time; a file or pipe gets a line every 10 seconds
    and one at the end, none for work under 2 seconds. Inside of another `progress`, in a child
    process, and on all ranks but the first, nothing is shown.

    Args:
        iterable: Items of the work.
        total: Number of items; None asks the iterable, which may not know it.
        what: Name of the work, at the start of the line.
        unit: Name of the items.

    Example:
        >>> from rein_seg.progress import progress
        >>> [2 * number for number in progress([1, 2, 3], what='double', unit='numbers')]
        [2, 4, 6]
    """
    if total is None:
        total = operator.length_hint(iterable, 0) or None
    with Meter(total, what=what, unit=unit) as meter:
        for one in iterable:
            yield one
            meter.advance()


class _View(Protocol):
    between: float

    def show(self, text: str, done: int, total: int | None) -> None: ...

    def erase(self) -> None: ...

    def last(self, text: str) -> None: ...


class Meter:
    """Shows how far some work is; `progress` is the short form for a loop.

    Args:
        total: Number of items; None is not known.
        what: Name of the work.
        unit: Name of the items.
        done: Items that an earlier run has done.
        silent_end: Whether the work ends without a line.

    Example:
        >>> from rein_seg.progress import Meter
        >>> with Meter(100, what='train', unit='iterations') as meter:
        ...     meter.advance(note='loss 0.31')
        >>> meter.done
        1
    """

    def __init__(
        self,
        total: int | None = None,
        *,
        what: str = 'images',
        unit: str = 'images',
        done: int = 0,
        silent_end: bool = False,
    ) -> None:
        self.total, self.what, self.unit, self.done = total, what, unit, done
        self.silent_end = silent_end
        self._first, self._note = done, ''
        self._view: _View | None = None

    def __enter__(self) -> Meter:
        return self.start()

    def __exit__(self, kind: object, *rest: Any) -> None:
        self.close(finished=kind is None)

    def start(self) -> Meter:
        """Starts the clock, and shows the work unless other work is shown; returns the meter."""
        self._start = self._shown = time.monotonic()
        self._marks: deque[tuple[float, int]] = deque([(self._start, self.done)])
        self._view = None if _active else _view()
        if self._view is not None:
            _active.append(self)
        return self

    def close(self, *, finished: bool = True) -> None:
        """Ends the work; a second call does nothing.

        Args:
            finished: Whether it came to its end, which a last line says.
        """
        if self._view is None:
            return
        _active.remove(self)
        took = time.monotonic() - self._start
        try:
            self._view.erase()
            if finished and not self.silent_end and took >= SHORT:
                self._view.last(self.summary(took))
        except (OSError, ValueError):  # nobody reads any more
            pass
        self._view = None

    def advance(self, count: int = 1, *, note: str | None = None) -> None:
        """Counts finished items.

        Args:
            count: Number of them.
            note: Text at the end of the line from now on.
        """
        self.done += count
        if note is not None:
            self._note = note
        now = time.monotonic()
        if self._view is None or now - self._shown < self._view.between:
            return
        self._shown = now
        self._marks.append((now, self.done))
        while len(self._marks) > 2 and now - self._marks[0][0] > _WINDOW:
            self._marks.popleft()
        try:
            self._view.show(self.line(), self.done, self.total)
        except (OSError, ValueError):
            self._view = None
            _active.remove(self)

    def line(self) -> str:
        """Returns the work as text: count, rate, remaining time, note."""
        (since, before), (now, done) = self._marks[0], self._marks[-1]
        rate = (done - before) / max(now - since, 1e-9)
        of = '' if self.total is None else f'/{self.total}'
        parts = [f'{self._title()}{self.done}{of} {self.unit}', f'{_number(rate)} {self.unit}/s']
        if self.total is not None and rate > 0:
            parts.append(f'{clock((self.total - self.done) / rate)} left')
        return ', '.join([*parts, *filter(None, [self._note])])

    def summary(self, seconds: float) -> str:
        """Returns the finished work as text.

        Args:
            seconds: How long it took.

        Example:
            >>> from rein_seg.progress import Meter
            >>> meter = Meter(what='check', done=0)
            >>> meter.done = 80
            >>> meter.summary(40.0)
            'check: 80 images in 0:00:40, 2.0 images/s'
        """
        rate = (self.done - self._first) / max(seconds, 1e-9)
        return (
            f'{self._title()}{self.done} {self.unit} in {clock(seconds)}, '
            f'{_number(rate)} {self.unit}/s'
        )

    def _title(self) -> str:
        return '' if self.what == self.unit else f'{self.what}: '

    def erase(self) -> None:
        """Takes the bar off the terminal until it is drawn next."""
        if self._view is not None:
            with contextlib.suppress(OSError, ValueError):  # nobody reads any more
                self._view.erase()


def make_room() -> None:
    """Takes the shown bar off the terminal, so that other text has the line.

    Example:
        >>> from rein_seg.progress import make_room
        >>> make_room()  # nothing, where no bar is shown
    """
    for meter in _active:
        meter.erase()


def watched(stream: TextIO | None = None) -> bool:
    """Says whether a person watches: stderr is a terminal that can redraw a line.

    Example:
        >>> import io
        >>> from rein_seg.progress import watched
        >>> watched(io.StringIO())
        False
    """
    stream = sys.stderr if stream is None else stream
    try:
        return bool(stream.isatty()) and os.environ.get('TERM') not in ('dumb', 'unknown')
    except (AttributeError, ValueError):  # no stream, a closed stream
        return False


def clock(seconds: float) -> str:
    """Returns a duration as hours, minutes and seconds.

    Example:
        >>> from rein_seg.progress import clock
        >>> clock(3725.4)
        '1:02:05'
    """
    return str(datetime.timedelta(seconds=round(min(max(seconds, 0), 1e9))))


def _number(rate: float) -> str:
    return f'{rate:.0f}' if rate >= 100 else f'{rate:.1f}' if rate >= 1 else f'{rate:.2g}'


def _view() -> _View | None:
    child = multiprocessing.parent_process() is not None
    if child or os.environ.get('RANK', '0') != '0' or sys.stderr is None or sys.stderr.closed:
        return None
    return _Bar(sys.stderr) if watched() else _Lines(sys.stderr)


class _Lines:
    """A line now and then."""

    between = BETWEEN_LINES

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def show(self, text: str, done: int, total: int | None) -> None:
        self.last(text)

    def erase(self) -> None:
        pass

    def last(self, text: str) -> None:
        self.stream.write(f'{text}\n')
        self.stream.flush()


class _Bar:
    """A bar of rich, drawn by the thread that works: a worker may be forked at any time."""

    between = BETWEEN_FRAMES

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self.bar = Progress(
            BarColumn(24),
            TextColumn('{task.fields[text]}', markup=False),
            # rich leaves out colours under NO_COLOR
            console=Console(file=stream, force_terminal=True, highlight=False),
            auto_refresh=False,
            transient=True,
            # text for a file must not land on the terminal
            redirect_stdout=watched(sys.stdout),
        )
        self.task = self.bar.add_task('', total=None, text='')

    def show(self, text: str, done: int, total: int | None) -> None:
        self.bar.update(self.task, completed=done, total=total, text=text)
        if not self.bar.live.is_started:
            self.bar.start()
        self.bar.refresh()

    def erase(self) -> None:
        self.bar.stop()

    def last(self, text: str) -> None:
        self.bar.console.print(text, markup=False, soft_wrap=True)
