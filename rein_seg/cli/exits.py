"""Exit codes, and errors in one line: the only place that decides on either."""

from __future__ import annotations

import enum
import os
import signal
import sys
from collections.abc import Callable

from rein_seg.errors import WORKER_ENDED, RunFailed, Terminated, UserError
from rein_seg.progress import make_room
from rein_seg.signals import terminable


class Exit(enum.IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    USER_ERROR = 2
    SKIPPED = 3
    IO_ERROR = 74  # EX_IOERR of sysexits.h
    INTERRUPTED = 128 + signal.SIGINT
    NO_READER = 128 + signal.SIGPIPE
    TERMINATED = 128 + signal.SIGTERM


HELP = f"""exit codes:
  {Exit.DONE:<4} done
  {Exit.FAILED:<4} a run failed, or the data have faults (check-data)
  {Exit.USER_ERROR:<4} a mistake in the command, the config or a file that was given
  {Exit.SKIPPED:<4} done, but some inputs were skipped; they are named
  {Exit.IO_ERROR:<4} a file could not be read or written: disk full, no permission
  {Exit.INTERRUPTED}  interrupted with Ctrl-C
  {Exit.NO_READER}  the program that read the output ended
  {Exit.TERMINATED}  ended by SIGTERM"""

# words of errors by PyTorch, NumPy and the CUDA runtime, which share no class
_NO_MEMORY = ("can't allocate memory", 'out of memory', 'Unable to allocate', 'Cannot allocate')
_WORKER_DIED = (WORKER_ENDED, 'unable to open shared memory', 'unable to mmap')


def run(main: Callable[[], object], *, interrupted: str = 'start it again') -> int:
    """Runs ``main``; an expected error becomes a line on stderr instead of a traceback.

    Args:
        main: Work of the command; an int that it returns is the exit code.
        interrupted: Advice after Ctrl-C or SIGTERM, where the work itself gives none.

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
            sys.stdout.flush()
    except UserError as error:
        line = _last_line(error).removeprefix('rein_seg.errors.UserError: ')
        return _say(f'error: {line}', Exit.USER_ERROR)
    except RunFailed as error:
        return _say(f'error: {error}', Exit.FAILED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python flushes it again at its end
        return int(Exit.NO_READER)
    except OSError as error:
        return _say(f'error: {describe(error)}', Exit.IO_ERROR)
    except Terminated as stop:
        return _say(f'terminated: {str(stop) or interrupted}', Exit.TERMINATED)
    except KeyboardInterrupt as stop:
        return _say(f'interrupted: {str(stop) or interrupted}', Exit.INTERRUPTED)
    except (MemoryError, RuntimeError) as error:
        line = exhausted(error) or lost_process(error)
        if line is None:
            raise  # a mistake of ours
        return _say(f'error: {line}', Exit.FAILED)
    return int(code) if isinstance(code, int) else int(Exit.DONE)


def exhausted(error: Exception) -> str | None:
    """Returns a line for an error that says that the machine's memory ended, else None.

    Example:
        >>> from rein_seg.cli.exits import exhausted
        >>> exhausted(MemoryError('Unable to allocate 2 TiB'))
        'out of memory (Unable to allocate 2 TiB): choose a smaller batch_size or crop_size, --amp'
        >>> exhausted(RuntimeError('shapes differ')) is None
        True
    """
    reason = _last_line(error)
    if isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY):
        return f'out of memory ({reason}): choose a smaller batch_size or crop_size, --amp'
    if any(words in str(error) for words in _WORKER_DIED):
        return (
            f'a worker of a data loader ended ({reason}): the memory, or the shared memory in '
            '/dev/shm, is too small for it; set train_dataloader.num_workers=0, or give it more'
        )
    return None


def lost_process(error: Exception) -> str | None:
    """Returns a line for an error of a run on several processes, of which another hangs, else None.

    Example:
        >>> from rein_seg.cli.exits import lost_process
        >>> lost_process(RuntimeError('shapes differ')) is None
        True
    """
    if 'torch.distributed' not in sys.modules:
        return None
    from rein_seg.engine.ranks import lost_rank

    return lost_rank(error)


def describe(error: OSError) -> str:
    """Returns a line that names the file and the reason.

    Example:
        >>> from rein_seg.cli.exits import describe
        >>> describe(OSError(28, 'No space left on device', 'work_dirs/demo/last.pth'))
        "'work_dirs/demo/last.pth': No space left on device"
    """
    if error.filename is not None and error.strerror:
        return f'{str(error.filename)!r}: {error.strerror}'
    if error.strerror:
        return f'standard output or a temporary file: {error.strerror}'
    return _last_line(error)


def _last_line(error: Exception) -> str:
    # a worker of a data loader sends its whole traceback, the reason at its end
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__


def _say(line: str, code: int) -> int:
    rank = f'[rank {os.environ["RANK"]}] ' if 'RANK' in os.environ else ''
    # names of files and of tensors in them may hold anything
    line = ''.join(c if c.isprintable() else repr(c)[1:-1] for c in line)
    make_room()  # a bar may be there still
    sys.stderr.write(f'{rank}{line}\n')
    return int(code)
