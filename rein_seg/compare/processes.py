"""Runs child processes: a limited number at a time, none left behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from rein_seg.checkpoint import remove_temporary
from rein_seg.errors import UserError

_POLL_SECONDS = 0.1
_GRACE_SECONDS = 10  # to end by itself after an interrupt


@dataclass
class Child:
    """A process that works on one job; its output goes to files in the job's folder."""

    job: Any
    folder: Path
    process: subprocess.Popen
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return time.monotonic() - self.started

    def stop(self) -> None:
        """Interrupts the process as Ctrl-C does, then kills it with all its children."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(_GRACE_SECONDS)
        # the group includes loader processes, which outlive a killed parent
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def run_all(
    jobs: Sequence[Any],
    start: Callable[[Any, int], Child],
    ended: Callable[[Child, bool], None],
    *,
    slots: int = 1,
) -> None:
    """Runs jobs in their order, ``slots`` at a time; an exception stops the running processes.

    Args:
        jobs: Jobs to start.
        start: Starts a process for a job and the number of a free slot.
        ended: Called when a process has ended, with whether it was stopped.
        slots: Number of processes at a time.
    """
    waiting, running = list(jobs), {}
    try:
        while waiting or running:
            for slot in sorted(set(range(slots)) - set(running)):
                if waiting:
                    running[slot] = start(waiting.pop(0), slot)
            for slot, child in list(running.items()):
                if child.process.poll() is not None:
                    del running[slot]
                    ended(child, False)
            if running:
                time.sleep(_POLL_SECONDS)
    finally:
        for child in running.values():
            child.stop()
        for child in running.values():
            ended(child, True)


def spawn(
    job: Any, command: Sequence[str], folder: Path, *, env: Mapping[str, str], lock: int
) -> Child:
    """Starts a process in a session of its own, so that a terminal's Ctrl-C reaches only us.

    Args:
        job: Job of the process.
        command: Program and arguments.
        folder: Folder for stdout.txt and stderr.txt.
        env: Environment.
        lock: File descriptor that the process keeps open, see `locked`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / 'stdout.txt').open('w') as out, (folder / 'stderr.txt').open('w') as err:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=dict(env),
            pass_fds=(lock,),
            start_new_session=True,
        )
    return Child(job, folder, process)


def slot_environment(
    slot: int, slots: int, *, gpus: int, cores: int, base: Mapping[str, str]
) -> dict[str, str]:
    """Returns the environment of a process: its share of the threads and, of several GPUs, one.

    Args:
        slot: 0 .. slots - 1.
        slots: Number of processes at a time.
        gpus: Number of GPUs.
        cores: Number of CPU cores.
        base: Environment to start from; its number of threads is kept.

    Example:
        >>> from rein_seg.compare.processes import slot_environment
        >>> slot_environment(1, 2, gpus=2, cores=8, base={})
        {'OMP_NUM_THREADS': '4', 'CUDA_VISIBLE_DEVICES': '1'}
    """
    env = dict(base)
    if slots > 1:
        # two runs with all threads each would be slower than one after the other
        env.setdefault('OMP_NUM_THREADS', str(max(1, cores // slots)))
        if gpus > 1:
            named = base.get('CUDA_VISIBLE_DEVICES') or ','.join(map(str, range(gpus)))
            devices = named.split(',')
            env['CUDA_VISIBLE_DEVICES'] = devices[slot % len(devices)]
    return env


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Yields a descriptor that holds the folder's lock, for child processes to keep open.

    The lock ends with the last process that holds it, however that process ends. So no comparison
    can start in a folder while a run of a killed comparison still works there.

    Raises:
        UserError: If another process has the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / '.lock').open('a+') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f'another comparison, or a run that one left behind, works in {folder} (it was '
                f'started by process {_read(file)}); wait for it or end it, or name another '
                '--work-dir'
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        remove_temporary(folder)
        yield file.fileno()


def _read(file: IO[str]) -> str:
    file.seek(0)
    return file.read().strip() or '?'


def tail(path: Path, lines: int = 20) -> str:
    """Returns the last non-empty lines of a text file."""
    if not path.is_file():
        return ''
    text = path.read_text(errors='replace').rstrip()
    return '\n'.join([line for line in text.splitlines() if line.strip()][-lines:])


def exit_reason(exit_code: int, error: str) -> str:
    """Returns in a line why a process failed.

    Args:
        exit_code: As `subprocess.Popen` gives it: negative for a signal.
        error: Its stderr.

    Example:
        >>> from rein_seg.compare.processes import exit_reason
        >>> exit_reason(-9, ''), exit_reason(2, 'error: no such config')
        ('killed by SIGKILL (out of memory?)', 'exit code 2: error: no such config')
    """
    if exit_code < 0:
        name = signal.Signals(-exit_code).name
        why = ' (out of memory?)' if name == 'SIGKILL' else ''
        return f'killed by {name}{why}'
    last = error.splitlines()[-1].strip() if error else 'nothing on stderr'
    return f'exit code {exit_code}: {last}'
