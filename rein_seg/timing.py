"""Measures several ways to do the same work in turn: time, peak memory, and their ratios."""

from __future__ import annotations

import contextlib
import ctypes
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

T = TypeVar('T')
_STATUS = Path('/proc/self/status')


@dataclass
class Measured:
    """Measurements of one way.

    Attributes:
        seconds: Of each call.
        peak_mib: Peak memory of each call over the memory before it, in MiB.
    """

    seconds: list[float] = field(default_factory=list)
    peak_mib: list[float] = field(default_factory=list)


class PeakMemory:
    """Measures peak memory of the code inside it: of the GPU, or resident memory on Linux.

    Attributes:
        mib: Peak over the memory at its start, in MiB; None where the system does not report it.
        start_mib: Memory at its start.

    Example:
        >>> import torch
        >>> from rein_seg.timing import PeakMemory
        >>> with PeakMemory(torch.device('cpu')) as peak:
        ...     _ = torch.ones(2**24).sum()  # 64 MiB
        >>> peak.mib is None or peak.mib > 40
        True
    """

    def __init__(self, device: torch.device) -> None:
        self.cuda = device.type == 'cuda'
        self.mib: float | None = None
        self.start_mib = 0.0

    def __enter__(self) -> PeakMemory:
        if self.cuda:
            torch.cuda.reset_peak_memory_stats()
            self.start_mib = torch.cuda.memory_allocated() / 2**20
        elif _STATUS.exists():
            return_free_memory()
            Path('/proc/self/clear_refs').write_text('5')  # the peak starts again from here
            self.start_mib = status_mib('VmRSS')
        return self

    def __exit__(self, *args: object) -> None:
        if self.cuda:
            self.mib = torch.cuda.max_memory_allocated() / 2**20 - self.start_mib
        elif _STATUS.exists():
            self.mib = status_mib('VmHWM') - self.start_mib


def in_turn(
    ways: Mapping[str, Callable[[], T]],
    *,
    repeats: int,
    warmup: int = 0,
    seconds: float = 0.0,
    most: int | None = None,
    after_round: Callable[[int, Mapping[str, list[T]]], Any] | None = None,
) -> dict[str, list[T]]:
    """Calls A B A B ..., so that all ways see the same machine.

    Args:
        ways: Functions by name.
        repeats: Rounds, at least.
        warmup: Rounds before these, whose results are dropped.
        seconds: Goes on for so long where the rounds are short.
        most: Rounds at most; default ``repeats``.
        after_round: Called with the number of the round (0 and less: warm-up) and the results.

    Returns:
        The results of each way, a value a round.

    Example:
        >>> from rein_seg.timing import in_turn
        >>> calls = []
        >>> in_turn({'a': lambda: calls.append('a'), 'b': lambda: calls.append('b')}, repeats=2)
        {'a': [None, None], 'b': [None, None]}
        >>> ''.join(calls)
        'abab'
    """
    found: dict[str, list[T]] = {name: [] for name in ways}
    begun, number = time.perf_counter(), 1 - warmup
    while number <= repeats or (
        number <= (most or repeats) and time.perf_counter() - begun <= seconds
    ):
        for name, way in ways.items():
            result = way()
            if number > 0:
                found[name].append(result)
        if after_round is not None:
            after_round(number, found)
        if number == 0:
            begun = time.perf_counter()
        number += 1
    return found


def interleave(
    ways: Mapping[str, Callable[[], Any]],
    *,
    repeats: int,
    device: torch.device,
    warmup: int = 1,
    seconds: float = 0.0,
    most: int | None = None,
    memory: bool = True,
    settle: bool = False,
    report: Callable[[str], None] | None = None,
) -> dict[str, Measured]:
    """Measures ways in turn, A B A B ...; see `in_turn`.

    Args:
        ways: Functions to measure, by name.
        repeats: Counted calls of each way, at least.
        device: Device that they run on.
        warmup: Calls of each way before these.
        seconds: Goes on for so long where calls are short.
        most: Counted calls of each way at most; default ``repeats``.
        memory: Measures peak memory, too. To do so it returns free memory to the system before each
            call, which then asks for it again: a few percent of a long call.
        settle: Runs each way once more before each of its calls, uncounted: the way before it may
            have released memory that it would have kept.
        report: Called with a line of progress after each round.

    Example:
        >>> import torch
        >>> from rein_seg.timing import compare, interleave
        >>> x = torch.randn(64, 64)
        >>> ways = {'one': lambda: x @ x, 'three': lambda: x @ x @ x @ x}
        >>> measured = interleave(ways, repeats=3, device=torch.device('cpu'), memory=False)
        >>> compare(measured, 'one')['one']['time_ratio']
        1.0
    """

    def call(way: Callable[[], Any]) -> tuple[float, float | None]:
        if settle:
            way()
        with PeakMemory(device) if memory else contextlib.nullcontext() as peak:
            start = time.perf_counter()
            way()
            if device.type == 'cuda':
                torch.cuda.synchronize()
            took = time.perf_counter() - start
        return took, None if peak is None else peak.mib

    def say(number: int, found: Mapping[str, list[tuple[float, float | None]]]) -> None:
        took = ', '.join(f'{name} {each[-1][0]:.2f} s' for name, each in found.items() if each)
        if report is not None:
            report(f'round {max(number, 0)}/{repeats}: {took or "warm-up"}')

    calls = {name: partial(call, way) for name, way in ways.items()}
    options = dict(repeats=repeats, warmup=warmup, seconds=seconds, most=most)
    found = in_turn(calls, **options, after_round=say)
    return {
        name: Measured([took for took, _ in each], [mib for _, mib in each if mib is not None])
        for name, each in found.items()
    }


def compare(measured: Mapping[str, Measured], reference: str) -> dict[str, Any]:
    """Returns for each way medians, and ratios to ``reference``: median of the rounds, and range.

    Example:
        >>> from rein_seg.timing import Measured, compare
        >>> ways = {'ours': Measured([1.0, 2.0, 1.0]), 'plain': Measured([3.0, 4.0, 2.0])}
        >>> figures = compare(ways, 'ours')['plain']
        >>> figures['seconds'], figures['time_ratio'], figures['time_ratio_range']
        (3.0, 2.0, [2.0, 3.0])
    """
    figures: dict[str, Any] = {}
    base = measured[reference]
    for name, way in measured.items():
        ratios = [a / b for a, b in zip(way.seconds, base.seconds, strict=True)]
        figures[name] = {
            'seconds': statistics.median(way.seconds),
            'time_ratio': statistics.median(ratios),
            'time_ratio_range': [min(ratios), max(ratios)],
            'peak_mib': max(way.peak_mib, default=None),
            'memory_ratio': _ratio(way.peak_mib, base.peak_mib),
        }
    return figures


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    return max(ours) / max(theirs) if ours and theirs else None


def return_free_memory() -> None:
    """Returns the freed pages that glibc keeps to the system: the next peak counts them again."""
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)
    if trim is not None:
        trim(0)


def status_mib(key: str) -> float:
    """Returns a figure of this process, such as ``VmRSS``, in MiB; on Linux."""
    line = next(x for x in _STATUS.read_text().splitlines() if x.startswith(key + ':'))
    return int(line.split()[1]) / 2**10
