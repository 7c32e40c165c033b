"""Runs cases: a process each, forked from one that has imported everything."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.campaign.case import MARKER, Case, Outcome, judge

MOST_PROCESSES = 4096  # of the user; root has no limit


def warm_up() -> None:
    """Imports what commands import, so that a forked process starts at once."""
    os.environ['OMP_NUM_THREADS'] = os.environ['REIN_SEG_OFFLINE'] = '1'
    import encodings.utf_8_sig  # noqa: F401  a case that drops its rights could not import it

    import matplotlib.pyplot  # noqa: F401
    import setuptools  # noqa: F401  has distutils
    import torch
    from mmengine.utils.dl_utils import collect_env

    from rein_seg.cli import prepare

    torch.set_num_threads(1)  # a thread pool would not survive the fork
    prepare()
    collect_env()


def run_case(case: Case, folder: Path) -> Outcome:
    """Runs a case in a new process whose working folder is ``folder``.

    The process has the code, the exit codes and the error lines of ``rein-seg``; an exception that
    passes `rein_seg.cli.main` prints its traceback and ends with 1, as in Python.
    """
    with (
        tempfile.TemporaryFile('w+', errors='replace') as out,
        tempfile.TemporaryFile('w+', errors='replace') as err,
    ):
        begin = time.monotonic()
        child = os.fork()
        if child == 0:
            _be_the_command(case, folder, out.fileno(), err.fileno())
        code, hung = _wait(child, case.timeout)
        seconds = time.monotonic() - begin
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read())
    executed = any(folder.rglob(MARKER))
    return Outcome(code, *texts, seconds, hung, executed)


def _be_the_command(case: Case, folder: Path, out: int, err: int) -> None:
    """Never returns: a child that went on here would run the other cases, and fork again."""
    code = 1
    try:
        _limit_to_runner()
        os.setsid()
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdout, sys.stderr = os.fdopen(1, 'w', closefd=False), os.fdopen(2, 'w', closefd=False)
        os.chdir(folder)
        os.environ.update(case.environment)
        os.environ['COLUMNS'] = '1000'
        argv = case.prepare(folder)
        used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + case.memory, used + case.memory))
        from rein_seg.cli import main

        code = main(argv)
    except BaseException:
        with contextlib.suppress(BaseException):
            traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)  # whatever the flush raised: a full disk, a closed pipe


def train_quietly(config: str, work_dir: str) -> None:
    """Trains in a process of its own, which a case prepares its files with."""
    from rein_seg.cli import main

    child = os.fork()
    if child == 0:
        code = 1
        try:
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1), os.dup2(quiet, 2)
            code = main(['train', config, '--work-dir', work_dir])
        finally:
            os._exit(code)  # a child that went on here would prepare the case, too
    assert os.waitpid(child, 0)[1] == 0


def _limit_to_runner() -> None:
    """Has this process end with the one that forked it, and the number of processes bounded."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    resource.setrlimit(resource.RLIMIT_NPROC, (MOST_PROCESSES, MOST_PROCESSES))


def _wait(child: int, timeout: float) -> tuple[int, bool]:
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), False
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), True


def run_all(cases: Sequence[Case], *, jobs: int = 2) -> list[tuple[Case, str, str]]:
    """Runs cases side by side; returns case, verdict and line of each, and prints them."""

    def one(case: Case) -> tuple[Case, str, str]:
        folder = Path(tempfile.mkdtemp(prefix='campaign-'))
        try:
            verdict, line = judge(case, run_case(case, folder), folder)
        finally:
            os.system(f'chmod -R u+rwX {folder}')  # noqa: S605  a case may take its own rights
            shutil.rmtree(folder, ignore_errors=True)
        sys.stdout.write(f'{verdict:<10}{case.name}: {line[:300]}\n')
        sys.stdout.flush()
        return case, verdict, line

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, cases))
