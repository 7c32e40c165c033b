"""Arguments that commands share, spelled as in mmseg."""

from __future__ import annotations

import argparse
import re
from typing import Any

# blanks between words, and a letter that stands for one
_BLANKS, _BLANK = re.compile(r'(?<=[^\s,()\[\]]) +(?=[^\s,()\[\]])'), '\ue000'


class Options(argparse.Action):
    """Reads ``KEY=VALUE`` words as mmengine does, which is imported only if there are any.

    Blanks between words stay, as in prompts and names of classes; mmengine takes all of them out.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Stores names -> values.

        Raises:
            argparse.ArgumentError: For a word without a name or a value, with a bracket that is not
                closed, or with a dict that holds a list.
        """
        from mmengine.config import DictAction

        action = DictAction(self.option_strings, self.dest, nargs='+')
        for word in values:
            name, equals, value = word.partition('=')
            if not name.strip() or not equals:
                raise argparse.ArgumentError(
                    self,
                    f'{word!r}: expected KEY=VALUE without spaces, such as max_iters=1000; quote a '
                    "value with spaces: key='a b'",
                )
            if not _closed(value):
                raise argparse.ArgumentError(
                    self,
                    f'{word}: its brackets do not match: expected KEY=[A,B]; quote a value with '
                    'spaces or brackets',
                )
            try:
                kept = _BLANKS.sub(lambda found: _BLANK * len(found[0]), value.strip())
                action(parser, namespace, [f'{name}={kept}'], option_string)
            except RecursionError:  # of a dict that holds a list, mmengine knows no end
                raise argparse.ArgumentError(
                    self,
                    f'{word}: text holds no dict: set its parts, KEY.PART=VALUE, in a list '
                    'KEY.0.PART=VALUE, or write it into a config',
                ) from None
        setattr(namespace, self.dest, _with_blanks(getattr(namespace, self.dest)))


def _with_blanks(value: Any) -> Any:
    """Returns a value with blanks for the letters that stand for them."""
    if isinstance(value, str):
        return value.replace(_BLANK, ' ')
    if isinstance(value, dict):
        return {name: _with_blanks(part) for name, part in value.items()}
    return type(value)(map(_with_blanks, value)) if isinstance(value, (list, tuple)) else value


def _closed(value: str) -> bool:
    """Says whether the brackets of a value match."""
    pairs, waiting = {')': '(', ']': '['}, []
    for letter in value:
        if letter in pairs.values():
            waiting.append(letter)
        elif letter in pairs and (not waiting or waiting.pop() != pairs[letter]):
            return False
    return not waiting


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds ``--cfg-options``.

    Example:
        >>> import argparse
        >>> from rein_seg.cli.arguments import add_options
        >>> parser = argparse.ArgumentParser()
        >>> add_options(parser)
        >>> parser.parse_args(['--cfg-options', 'max_iters=30', 'model.x=[1,2]']).cfg_options
        {'max_iters': 30, 'model.x': [1, 2]}
    """
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=Options,
        metavar='KEY=VALUE',
        help='override parts of the config: a.b=1 c="[1,2]"',
    )


def add_config(parser: argparse.ArgumentParser, *, default: str | None = None) -> None:
    """Adds the positional ``config``; with a default it may be left out.

    Example:
        >>> import argparse
        >>> from rein_seg.cli.arguments import add_config
        >>> parser = argparse.ArgumentParser()
        >>> add_config(parser, default='rein_tiny_miniscapes')
        >>> parser.parse_args([]).config
        'rein_tiny_miniscapes'
    """
    parser.add_argument(
        'config',
        nargs='?' if default else None,
        default=default,
        help='config file, or name of a shipped config'
        + (' (default: %(default)s)' if default else ', such as rein_tiny_miniscapes'),
    )


def add_run(parser: argparse.ArgumentParser, *, work_dir: str = 'work_dirs/CONFIG_NAME') -> None:
    """Adds the arguments of commands that train or test.

    Args:
        parser: Parser of the command.
        work_dir: Default folder of the run, for the help.
    """
    add_options(parser)
    parser.add_argument('--work-dir', help=f'folder of the run (default: {work_dir})')
    parser.add_argument('--amp', action='store_true', help='bfloat16 autocast')
    parser.add_argument(
        '--verbose', action='store_true', help='show every line of the log, as its file has them'
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch'],
        default='none',
        help='pytorch under torchrun; tools/dist_*.sh sets it',
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def add_json(parser: argparse.ArgumentParser, what: str = 'figures') -> None:
    """Adds ``--json FILE``."""
    parser.add_argument('--json', metavar='FILE', help=f'write the {what} to this file, too')


def positive(text: str) -> int:
    """Returns a whole number above 0, as the ``type`` of an argument.

    Raises:
        argparse.ArgumentTypeError: If the text is no such number.

    Example:
        >>> from rein_seg.cli.arguments import positive
        >>> positive('4')
        4
    """
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r}: expected a whole number above 0')
    return int(text)
