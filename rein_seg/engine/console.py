"""What a log shows on the console: what a person needs. The log file of a run has everything."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

from mmengine.logging import MMLogger

from rein_seg.progress import make_room, watched

_LONG = 60  # lines: a config, the environment
# said for the log file: settings that seldom matter, and what other lines or a bar say
_FOR_THE_FILE = (
    '"FileClient"',
    '"HardDisk',
    'Checkpoints will be saved to',
    'Distributed training is not used',
    'Environment:',
    'Exp name: ',
    'Hooks will be executed',
    'Please make sure that the mlflow server',
    'Saving checkpoint at',
    'fast forms: ',
    'optimizer group: ',
)
_STEP = re.compile(r'(?:Iter|Epoch)\(train\)\s*(?:\[\d+\])?\s*\[\s*(\d+)/(\d+)\]\s+(.*)')
_LOOP = re.compile(r'(?:Iter|Epoch)\((?:val|test)\)')
_IN_A_STEP = ('loss', 'loss_critic', 'lr', 'critic_lr', 'eta')
_EARLY_MOST = 10_000


class _State:
    """Of this process.

    Attributes:
        verbose: Whether everything is shown.
        early: Records from before there was a log file.
    """

    verbose = False
    early: list[logging.LogRecord] = []


class _Console(logging.StreamHandler):
    """Writes to the stdout of the moment, which commands redirect, not to that of its making."""

    def __init__(self, other: logging.Handler) -> None:
        logging.Handler.__init__(self, other.level)
        self.filters = [*other.filters, worth_showing]
        self.setFormatter(ConsoleFormatter())

    @property
    def stream(self) -> Any:  # type: ignore[override]
        """The stream."""
        return sys.stdout


class _Early(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if len(_State.early) < _EARLY_MOST:
            _State.early.append(record)


class ConsoleFormatter(logging.Formatter):
    """Time and message; of a training step the iteration, the loss, its rate, the end.

    Example:
        >>> import logging
        >>> from rein_seg.engine.console import ConsoleFormatter
        >>> text = 'Iter(train) [ 50/1200]  base_lr: 1e-03 lr: 1e-03  eta: 0:08:41  loss: 2.5'
        >>> record = logging.makeLogRecord(dict(msg=text, levelno=logging.INFO))
        >>> ConsoleFormatter().format(record).partition(' ')[2]
        'iteration 50/1200  loss 2.5  lr 1e-03  eta 0:08:41'
    """

    def __init__(self) -> None:
        super().__init__(datefmt='%H:%M:%S')

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line of a record."""
        message = record.getMessage()
        step = None if _State.verbose else _STEP.match(message)
        if step is not None:
            message = _short_step(*step.groups())
        if record.levelno > logging.INFO:
            message = f'{record.levelname.lower()}: {message}'
        if message.startswith('\n'):  # a table: its first line must stand above the others
            return message
        return f'{self.formatTime(record, self.datefmt)} {message}'


def _short_step(done: str, total: str, rest: str) -> str:
    values = dict(re.findall(r'([\w./-]+): (\S+)', rest))
    shown = [f'{name} {values[name]}' for name in _IN_A_STEP if name in values]
    return '  '.join([f'iteration {done}/{total}', *shown])


def show_all(verbose: bool) -> None:
    """Has the console show everything, or only what a person needs."""
    _State.verbose = verbose


def worth_showing(record: logging.LogRecord) -> bool:
    """Whether a log record belongs on a console; makes room for it above a bar.

    Warnings and errors always do. What is hidden stands in the log file.

    Example:
        >>> import logging
        >>> from rein_seg.engine.console import worth_showing
        >>> def shown(text):
        ...     return worth_showing(logging.makeLogRecord(dict(msg=text, levelno=logging.INFO)))
        >>> shown('protocol rein512, changed: nothing'), shown('Saving checkpoint at 5 iterations')
        (True, False)
    """
    message = record.getMessage()
    hidden = record.levelno <= logging.INFO and not _State.verbose and _hides(message)
    # of a library, and wrong here: nobody uses its names, nor a server
    hidden = hidden or (message.startswith(_FOR_THE_FILE[:2]) and not _State.verbose)
    if not hidden:
        make_room()
    return not hidden


def _hides(message: str) -> bool:
    if message.count('\n') >= _LONG or message.startswith(_FOR_THE_FILE):
        return True
    # a bar shows the steps, and a table the scores
    return bool(_LOOP.match(message)) or (watched() and bool(_STEP.match(message)))


def tidy(logger: logging.Logger) -> None:
    """Has a logger of mmengine show on the console what a person needs.

    A logger without a file keeps its records for the first file; see `hand_over`.

    Args:
        logger: Changed in place; a second call changes nothing.
    """
    files = [h for h in logger.handlers if isinstance(h, logging.FileHandler)]
    for i, handler in enumerate(logger.handlers):
        own = (_Console, _Early, *map(type, files))
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, own):
            logger.handlers[i] = _Console(handler)
    if not files and not any(isinstance(h, _Early) for h in logger.handlers):
        logger.addHandler(_Early(logging.INFO))


def tidy_current() -> None:
    """Does `tidy` for the logger that commands use before there is a run."""
    logger = MMLogger.get_current_instance()
    if not any(isinstance(handler, logging.FileHandler) for handler in logger.handlers):
        tidy(logger)


def hand_over(handler: Any) -> None:
    """Writes the records from before the log file into it, once."""
    early, _State.early = _State.early, []
    for record in early:
        handler.handle(record)
