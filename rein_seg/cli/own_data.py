"""Arguments of commands that work on own data: ``--data`` and the words that generate a config."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from rein_seg.cli.arguments import positive
from rein_seg.errors import UserError

if TYPE_CHECKING:
    from rein_seg.config.read import Generated

_WORDS = ('encoder', 'peft', 'head', 'max_iters', 'lr', 'seed')
_CHANGES = ('size', 'crop', 'batch_size', 'class_weights')


def add_own_data(parser: argparse.ArgumentParser) -> None:
    """Adds ``--data`` and its companions, and makes ``config`` optional."""
    parser.add_argument(
        'config',
        nargs='?',
        help='config file, or name of a shipped config, such as rein_tiny_miniscapes; with --data '
        'it may be left out',
    )
    group = parser.add_argument_group(
        'own data', 'a config is generated; with CONFIG, --data replaces its benchmark'
    )
    group.add_argument(
        '--data', metavar='FILE', help='data file, data.yaml, which rein-seg init-data DIR writes'
    )
    group.add_argument(
        '--encoder', metavar='NAME', help='a file of configs/_base_/encoders (default: vit_tiny)'
    )
    group.add_argument('--peft', metavar='METHOD', help='PEFT method (default: Rein)')
    group.add_argument(
        '--head', metavar='NAME', help='a file of configs/_base_/heads (default: linear)'
    )
    group.add_argument('--max-iters', type=positive, metavar='N', help='iterations (default: 400)')
    group.add_argument('--lr', type=float, metavar='RATE', help='learning rate')
    group.add_argument('--seed', type=int, metavar='N', help='seed of the run (default: 42)')
    group.add_argument(
        '--size',
        type=positive,
        metavar='PIXELS',
        help="short side that images are resized to, in place of the data file's",
    )
    group.add_argument(
        '--crop', type=positive, metavar='PIXELS', help='side of the squares that train'
    )
    group.add_argument(
        '--class-weights',
        type=weights,
        metavar='auto|NAME=W,...',
        help='weights of classes in the loss: auto counts the pixels of the training labels',
    )
    group.add_argument('--batch-size', type=positive, metavar='N', help='images of a batch')


def weights(text: str) -> str | dict[str, float]:
    """Returns ``auto``, or name -> weight, as the ``type`` of an argument.

    Raises:
        argparse.ArgumentTypeError: If the text is neither.

    Example:
        >>> from rein_seg.cli.own_data import weights
        >>> weights('auto'), weights('car=2,person=3.5')
        ('auto', {'car': 2.0, 'person': 3.5})
    """
    if text == 'auto':
        return text
    found: dict[str, float] = {}
    for word in text.split(','):
        name, equals, number = word.rpartition('=')
        try:
            found[name.strip()] = float(number)
        except ValueError:
            equals = ''
        if not equals or not name.strip():
            raise argparse.ArgumentTypeError(
                f'{word!r}: expected auto, or names and numbers such as car=2,person=3.5'
            )
    return found


def source_of(args: argparse.Namespace) -> tuple[str | Generated, dict[str, Any]]:
    """Returns the config of a command, by name or generated, and its options.

    Raises:
        UserError: If there is neither a config nor a data file, or a word has no effect.
    """
    options = dict(args.cfg_options or {})
    words = {key: getattr(args, key) for key in _WORDS if getattr(args, key) is not None}
    changes = {key: getattr(args, key, None) for key in _CHANGES}
    changes = {key: value for key, value in changes.items() if value is not None}
    if args.data is None:
        if args.config is None:
            raise UserError(
                'neither a config nor data is named: give CONFIG, such as rein_tiny_miniscapes, or '
                '--data data.yaml for own data'
            )
        given = [f'--{key.replace("_", "-")}' for key in (*words, *changes)]
        if given:
            raise UserError(
                f'{", ".join(given)} without --data has no effect on a config: give --data FILE, '
                'or --cfg-options KEY=VALUE'
            )
        return args.config, options
    from rein_seg.config.own_run import OwnRun

    if args.config is None:
        return OwnRun(data=args.data, changes=changes, **words).generate(), options
    given = [f'--{key.replace("_", "-")}' for key in words]
    if given:
        raise UserError(
            f'{", ".join(given)} beside the config {args.config!r}: the config says it; set it '
            'with --cfg-options, or leave the config out'
        )
    return args.config, {**options, 'benchmark': {'data': args.data, **changes}}
