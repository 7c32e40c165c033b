"""The command line: ``rein-seg COMMAND``, the same as ``python -m rein_seg COMMAND``.

A command is a module of this package, named like the command with ``_`` for ``-``, and a word in
`COMMANDS`. Its docstring is the help: the first line stands in the list of commands. It has

    add_arguments(parser)   gives the parser its arguments
    main(args)              does the work; an int that it returns is the exit code
    EXAMPLES                optional: command lines, shown below the help
    INTERRUPTED             optional: advice after Ctrl-C

and imports what is slow to load, PyTorch above all, inside of ``main``.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from rein_seg.cli.exits import HELP, Exit, run
from rein_seg.errors import UserError, near_misses
from rein_seg.version import __version__

COMMANDS = (
    'init-data',
    'train',
    'test',
    'predict',
    'compare',
    'compare-frames',
    'show-results',
    'report',
    'check-data',
    'show',
    'merge',
    'convert',
    'class-table',
    'count',
    'benchmark',
    'benchmark-heads',
    'benchmark-loader',
    'benchmark-sam',
    'benchmark-service',
    'benchmark-slide',
    'linear-probe',
    'pretrain-tiny',
    'pretrain-tinyclip',
    'zero-shot',
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code; see `rein_seg.cli.exits.Exit`.

    Args:
        argv: Name of the command and its arguments; by default those of the process.

    Example:
        >>> from rein_seg.cli import main
        >>> main(['--version'])
        rein-seg 0.1.0
        0
    """
    words = list(sys.argv[1:] if argv is None else argv)
    name = words[0] if words else ''
    if isinstance(sys.stdout, io.TextIOWrapper):
        # names of files may hold bytes that are no text, as in a report of check-data
        with contextlib.suppress(OSError):  # a pipe that took the place of a file
            sys.stdout.reconfigure(errors='backslashreplace')
    odd = next((word for word in words if not _is_text(word)), None)
    if odd is not None:
        return run(lambda: _refuse_bytes(odd))
    try:
        if not name or name.startswith('-'):
            _overview().parse_args(words)
            _overview().print_help()
            return Exit.USER_ERROR
        if name not in COMMANDS:
            return run(lambda: _refuse(name))
        command = _module(name)
        args = _parser(name, command).parse_args(words[1:])
    except SystemExit as ended:  # argparse's, after a help or an error
        return ended.code if isinstance(ended.code, int) else Exit.USER_ERROR
    interrupted = getattr(command, 'INTERRUPTED', 'start it again')
    code = run(lambda: _work(command, args), interrupted=interrupted)
    if 'RANK' in os.environ and 'torch.distributed' in sys.modules:
        from rein_seg.engine.ranks import leave

        leave(code)
    return code


def prepare(*, verbose: bool = False) -> None:
    """Checks the environment, registers everything, sets up the process for speed.

    Args:
        verbose: Whether the console shows every line of the log.
    """
    import rein_seg.apis  # noqa: F401  quietly, whatever of the stack a command imports next
    from rein_seg.engine.console import show_all, tidy_current
    from rein_seg.fast.dispatch import use_in_process

    show_all(verbose)
    tidy_current()

    use_in_process()
    # mmengine collects garbage for each data set that it builds, 0.25 s over all imported modules
    gc.freeze()


def _work(command: ModuleType, args: argparse.Namespace) -> object:
    try:
        os.getcwd()
    except FileNotFoundError:
        raise UserError('the working folder was deleted: change to a folder that exists') from None
    prepare(verbose=getattr(args, 'verbose', False))
    return command.main(args)


def _module(name: str) -> ModuleType:
    return import_module(f'rein_seg.cli.{name.replace("-", "_")}')


def _parser(name: str, command: ModuleType) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f'rein-seg {name}',
        description=command.__doc__,
        epilog=getattr(command, 'EXAMPLES', None),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_arguments(parser)
    return parser


def _overview() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    firsts = {name: (_module(name).__doc__ or '').partition('\n')[0] for name in COMMANDS}
    commands = '\n'.join(f'  {name:<{width}}  {first}' for name, first in firsts.items())
    parser = argparse.ArgumentParser(
        prog='rein-seg',
        usage='rein-seg [-h] [--version] COMMAND ...',
        description='Frozen vision foundation models, parameter-efficient tuning, segmentation on '
        'unseen domains.',
        epilog=f'commands:\n{commands}\n\nrein-seg COMMAND --help describes a command.\n\n{HELP}',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--version', action='version', version=f'rein-seg {__version__}')
    return parser


def _is_text(word: str) -> bool:
    """Tells whether a word can be written: Python stands surrogates for bytes that are no UTF-8."""
    return not any('\ud800' <= c <= '\udfff' for c in word)


def _refuse_bytes(word: str) -> None:
    raise UserError(
        f'the argument {ascii(word)} is no UTF-8: expected text, since it is written into logs and '
        'configs; rename the file or folder'
    )


def _refuse(name: str) -> None:
    raise UserError(f'{name!r} is not a command; {near_misses(name, COMMANDS)}')
