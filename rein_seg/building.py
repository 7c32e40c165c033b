"""Names the part of a config whose building failed."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.logging import MMLogger

from rein_seg.errors import WORKER_ENDED, RunFailed, UserError


@contextmanager
def building(
    place: str | Callable[[], str], *, when: Callable[[], bool] = lambda: True
) -> Iterator[None]:
    """Turns what is raised inside into one line that names ``place``.

    The traceback goes to the log file of the run. Errors with a line of their own pass, and so do
    errors that no config causes: of files and of the machine's memory.

    Args:
        place: Key of the config or a description of the work, or a function that returns it.
        when: Says, when something was raised, whether the config may be the cause.

    Raises:
        UserError: In place of the exception.

    Example:
        >>> from rein_seg.building import building
        >>> with building('val_dataloader.dataset'):
        ...     [][3]
        Traceback (most recent call last):
        rein_seg.errors.UserError: val_dataloader.dataset: IndexError: list index out of range (...
    """
    try:
        yield
    except (UserError, RunFailed, OSError, MemoryError):
        raise
    except Exception as error:
        if not when() or any(words in str(error) for words in ('memory', WORKER_ENDED)):
            raise
        log = _log(traceback.format_exc())
        named = place if isinstance(place, str) else place()
        raise UserError(
            f'{named}: {_reason(error)} ({_innermost(error)}): correct this part of the config'
            + (f'; the traceback is in {log}' if log else '')
        ) from error


def _reason(error: Exception) -> str:
    # a worker of a data loader sends its whole traceback, the reason at its end
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    if 'Traceback' in str(error):
        return lines[-1]
    missing = re.search(r'missing \d+ required .*arguments?: (.*)', str(error))
    if isinstance(error, TypeError) and missing:
        return f'{missing[1]} missing'
    unknown = re.search(r"unexpected keyword argument ('\w+')", str(error))
    if isinstance(error, TypeError) and unknown:
        return f'takes no {unknown[1]}'
    return ': '.join([type(error).__name__, *lines[:1]])


def _innermost(error: Exception) -> str:
    """Returns file and line where an exception was raised."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f'{Path(frame.filename).name}, line {frame.lineno}'


def _log(text: str) -> str | None:
    """Writes into the log file of the run, not to the terminal; returns its path."""
    logger = MMLogger.get_current_instance()
    for handler in logger.handlers:
        if isinstance(handler, logging.FileHandler):
            record = logger.makeRecord(logger.name, logging.ERROR, '', 0, text, (), None)
            handler.handle(record)
            return handler.baseFilename
    return None
