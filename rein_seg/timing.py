"""Measures several ways to do the same work in turn: time, peak memory, and their ratio."""

from __future__ import annotations

import contextlib
import ctypes
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

_STATUS = Path('/proc/self/status')


@dataclass
class Measured:
    """Of one way: seconds of each call and peak memory over what there was before, MiB."""

    seconds: list[float] = field(default_factory=list)
    peak_mib: list[float] = field(default_factory=list)


class PeakMemory:
    """Measures peak memory over a stretch of code: of the GPU, or resident memory on Linux.

    Attributes:
        mib: Over what there was at its start; None where the system does not tell.
    """

    def __init__(self, device: torch.device) -> None:
        self.cuda = device.type == 'cuda'
        self.mib: float | None = None

    def __enter__(self) -> PeakMemory:
        if self.cuda:
            torch.cuda.reset_peak_memory_stats()
            self._start = torch.cuda.memory_allocated() / 2**20
        elif _STATUS.exists():
            return_free_memory()
            Path('/proc/self/clear_refs').write_text('5')  # the peak starts again from here
            self._start = status_mib('VmRSS')
        return self

    def __exit__(self, *args: object) -> None:
        if self.cuda:
            self.mib = torch.cuda.max_memory_allocated() / 2**20 - self._start
        elif _STATUS.exists():
            self.mib = status_mib('VmHWM') - self._start


def interleave(
    ways: Mapping[str, Callable[[], Any]],
    *,
    repeats: int,
    device: torch.device,
    warmup: int = 1,
    memory: bool = True,
    settle: bool = False,
    report: Callable[[str], None] | None = None,
) -> dict[str, Measured]:
    """Calls A B A B ..., so that all see the same machine; calls to warm up are not counted.

    Args:
        ways: What to call.
        repeats: Counted calls of each.
        device: Where they run.
        warmup: Calls of each before these.
        memory: Whether to measure peak memory, too. It gives free memory back to the system before
            each call, which then asks for it again: a few percent of a long call.
        settle: Whether to call each once more before each of its calls, uncounted: what ran before
            may have given memory back that it would have kept.
        report: Called with a line of progress after each round.
    """
    measured = {name: Measured() for name in ways}
    for round_ in range(1 - warmup, repeats + 1):
        for name, way in ways.items():
            if settle:
                way()
            with PeakMemory(device) if memory else contextlib.nullcontext() as peak:
                start = time.perf_counter()
                way()
                if device.type == 'cuda':
                    torch.cuda.synchronize()
                seconds = time.perf_counter() - start
            if round_ > 0:
                measured[name].seconds.append(seconds)
            if peak is not None and peak.mib is not None:
                measured[name].peak_mib.append(peak.mib)
        if report is not None:
            took = ', '.join(f'{k} {v.seconds[-1]:.2f} s' for k, v in measured.items() if v.seconds)
            report(f'round {max(round_, 0)}/{repeats}: {took or "warm-up"}')
    return measured


def compare(measured: Mapping[str, Measured], reference: str) -> dict[str, Any]:
    """Returns medians, and each way's ratios to ``reference``: median of the rounds, and range."""
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


@contextlib.contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Puts ``value`` in the place of an attribute for a while."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    return max(ours) / max(theirs) if ours and theirs else None


def return_free_memory() -> None:
    """Gives freed pages that glibc keeps back to the system: the next peak counts them again."""
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)
    if trim is not None:
        trim(0)


def status_mib(key: str) -> float:
    """Returns a figure of this process, such as ``VmRSS``, in MiB; on Linux."""
    line = next(x for x in _STATUS.read_text().splitlines() if x.startswith(key + ':'))
    return int(line.split()[1]) / 2**10
