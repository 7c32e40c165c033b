"""Exit codes, and errors in one line: the only place that decides on either."""

from __future__ import annotations

import enum
import os
import signal
import sys
from collections.abc import Callable

from rein_seg.errors import Terminated, UserError
from rein_seg.signals import terminable


class Exit(enum.IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    USER_ERROR = 2
    SKIPPED = 3
    IO_ERROR = 74  # EX_IOERR of sysexits.h
    INTERRUPTED = 128 + signal.SIGINT
    TERMINATED = 128 + signal.SIGTERM


HELP = f"""exit codes:
  {Exit.DONE:<4} done
  {Exit.FAILED:<4} a run failed, or the data have faults (check-data)
  {Exit.USER_ERROR:<4} a mistake in the command, the config or a file that was given
  {Exit.SKIPPED:<4} done, but some inputs were skipped; they are named
  {Exit.IO_ERROR:<4} a file could not be read or written: disk full, no permission
  {Exit.INTERRUPTED}  interrupted with Ctrl-C
  {Exit.TERMINATED}  ended by SIGTERM"""


def run(main: Callable[[], object], *, interrupted: str = 'start it again') -> int:
    """Runs ``main``; an expected error becomes a line on stderr instead of a traceback.

    Args:
        main: Work of the command; an int that it returns is the exit code.
        interrupted: Advice after Ctrl-C or SIGTERM.

    Returns:
        The exit code, see `Exit`. Other exceptions pass; Python exits with 1 then.

    Example:
        >>> from rein_seg.cli.exits import run
        >>> run(lambda: None)
        0
    """
    try:
        with terminable():
            code = main()
    except UserError as error:
        return _say(f'error: {error}', Exit.USER_ERROR)
    except OSError as error:
        return _say(f'error: {describe(error)}', Exit.IO_ERROR)
    except Terminated:
        return _say(f'terminated: {interrupted}', Exit.TERMINATED)
    except KeyboardInterrupt:
        return _say(f'interrupted: {interrupted}', Exit.INTERRUPTED)
    return int(code) if isinstance(code, int) else int(Exit.DONE)


def describe(error: OSError) -> str:
    """Returns a line that names the file and the reason.

    Example:
        >>> from rein_seg.cli.exits import describe
        >>> describe(OSError(28, 'No space left on device', 'work_dirs/demo/last.pth'))
        "'work_dirs/demo/last.pth': No space left on device"
    """
    if error.filename is not None and error.strerror:
        return f'{str(error.filename)!r}: {error.strerror}'
    # a worker of a data loader sends its whole traceback, the reason at its end
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__


def _say(line: str, code: int) -> int:
    rank = f'[rank {os.environ["RANK"]}] ' if 'RANK' in os.environ else ''
    sys.stderr.write(f'{rank}{line}\n')
    return int(code)
