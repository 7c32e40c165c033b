"""Each way to end has its exit code and one line."""

import os
import signal
import subprocess
import sys

import pytest

from rein_seg.cli.exits import HELP, Exit, run
from rein_seg.errors import UserError


def raising(error):
    def main():
        raise error

    return main


@pytest.mark.parametrize(
    ('main', 'code', 'line'),
    [
        (lambda: None, 0, ''),
        (lambda: 1, 1, ''),
        (lambda: Exit.SKIPPED, 3, ''),
        (raising(UserError('bad word')), 2, 'error: bad word'),
        (
            raising(OSError(28, 'No space left on device', 'run/last.pth')),
            74,
            "error: 'run/last.pth': No space left on device",
        ),
        (raising(PermissionError(13, 'Permission denied', 'a')), 74, "error: 'a': Permission"),
        (raising(OSError('Caught OSError in worker\nTraceback\nOSError: x.png')), 74,
         'error: OSError: x.png'),
        (raising(OSError()), 74, 'error: OSError'),
        (raising(OSError(28, 'No space left on device')), 74,
         'error: standard output or a temporary file: No space left'),
        (raising(MemoryError('Unable to allocate 128. TiB')), 1, 'error: out of memory (Unable'),
        (raising(RuntimeError("alloc_cpu: can't allocate memory: 7 bytes")), 1,
         'error: out of memory (alloc_cpu'),
        (raising(RuntimeError('CUDA out of memory. Tried')), 1, 'error: out of memory (CUDA'),
        (raising(RuntimeError('DataLoader worker (pid 7) is killed by signal: Bus error.')), 1,
         'error: a worker of a data loader ended (DataLoader worker (pid 7)'),
        (raising(KeyboardInterrupt()), 130, 'interrupted: try'),
    ],
)  # fmt: skip
def test_codes_and_lines(main, code, line, capsys):
    assert run(main, interrupted='try') == code
    err = capsys.readouterr().err
    assert err.startswith(line)
    assert len(err.splitlines()) == bool(line)


def test_a_reader_that_ended_needs_no_word(capfd):
    """``rein-seg show CONFIG | head``."""
    stdout = os.dup(1)
    try:
        assert run(raising(BrokenPipeError(32, 'Broken pipe'))) == 141
        os.write(1, b'to nobody')
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
    assert capfd.readouterr() == ('', '')


def test_sigterm(capsys):
    assert run(lambda: os.kill(os.getpid(), signal.SIGTERM), interrupted='try') == 143
    assert capsys.readouterr().err == 'terminated: try\n'


def test_any_other_error_is_a_bug_with_a_traceback():
    with pytest.raises(ZeroDivisionError):
        run(lambda: 1 / 0)
    code = 'import sys; from rein_seg.cli.exits import run; sys.exit(run(lambda: 1 / 0))'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == Exit.FAILED
    assert 'ZeroDivisionError' in done.stderr


def test_a_rank_says_which_it_is(monkeypatch, capsys):
    monkeypatch.setenv('RANK', '1')
    assert run(raising(UserError('bad label'))) == 2
    assert capsys.readouterr().err == '[rank 1] error: bad label\n'


def test_the_help_names_every_code():
    told = [int(line.split()[0]) for line in HELP.splitlines()[1:]]
    assert told == sorted(Exit)


def test_the_message_of_a_worker_is_one_line(capsys):
    def main():
        trace = 'Traceback (most recent call last):\n  File "x.py", line 1, in f\n'
        error = "rein_seg.errors.UserError: image 'a.png' cannot be read; mend the file\n"
        raise UserError(
            f'Caught UserError in DataLoader worker process 0.\nOriginal {trace}{error}'
        )

    assert run(main) == 2
    assert capsys.readouterr().err == "error: image 'a.png' cannot be read; mend the file\n"
