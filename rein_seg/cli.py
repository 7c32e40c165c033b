"""What the command-line tools share: arguments, and errors without a traceback."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from mmengine.config import DictAction

from rein_seg.errors import UserError

EXIT_USER_ERROR = 2


def add_common(
    parser: argparse.ArgumentParser, *, runs: bool = True, work_dir: str = 'work_dirs/CONFIG_NAME'
) -> None:
    """Adds the arguments that tools share, spelled as in mmseg.

    Args:
        parser: Parser of the tool.
        runs: Whether the tool trains or tests; others take ``--cfg-options`` alone.
        work_dir: The tool's default folder, for the help.
    """
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override parts of the config: a.b=1 c="[1,2]"',
    )
    if not runs:
        return
    parser.add_argument('--work-dir', help=f'folder of the run (default: {work_dir})')
    parser.add_argument('--amp', action='store_true', help='bfloat16 autocast')
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch'],
        default='none',
        help='pytorch under torchrun; tools/dist_*.sh sets it',
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def positive(text: str) -> int:
    """Returns a whole number above 0, as argparse's ``type``.

    Raises:
        argparse.ArgumentTypeError: If it is none.
    """
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r}: expected a whole number above 0')
    return int(text)


def run(main: Callable[[], object], *, interrupted: str = 'go on with --resume') -> int:
    """Runs ``main``; a `UserError` becomes one line on stderr and exit code 2.

    Args:
        main: Of the tool; an int that it returns is the exit code.
        interrupted: What to do after Ctrl-C, for the message.
    """
    try:
        if not {'-h', '--help'} & set(sys.argv[1:]):  # which need not wait for PyTorch to load
            from rein_seg.fast.dispatch import use_in_process

            use_in_process()
        code = main()
    except UserError as error:
        rank = f'[rank {os.environ["RANK"]}] ' if 'RANK' in os.environ else ''
        sys.stderr.write(f'{rank}error: {error}\n')
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        sys.stderr.write(f'interrupted: {interrupted}\n')
        return 130
    return code if isinstance(code, int) else 0
