"""The page of the command line, made of the help of the commands."""

from __future__ import annotations

import argparse
import re

from rein_seg import cli
from rein_seg.cli.exits import HELP
from tests.paths import REPO

DOCUMENT = REPO / 'docs/reference/command-line.md'
HEAD = """# Command line

Written by `make support` from the commands themselves.

`rein-seg COMMAND` and `python -m rein_seg COMMAND` are the same. Configs are given by path, or by
name if they come with the package: `rein_tiny_miniscapes`. In a clone, `tools/train.py` and its
neighbours take the same arguments as the commands; `tools/dist_train.sh CONFIG N` and
`tools/dist_test.sh CONFIG WEIGHTS N` start N processes.

"""


def document() -> str:
    """Returns the text of docs/reference/command-line.md."""
    commands = [f'| [`{name}`](#{name}) | {_first(name)} |\n' for name in cli.COMMANDS]
    table = '| command | purpose |\n|---|---|\n' + ''.join(commands)
    return HEAD + table + _exits() + ''.join(map(_command, cli.COMMANDS))


def _first(name: str) -> str:
    return (cli._module(name).__doc__ or '').partition('\n')[0]


def _exits() -> str:
    rows = [f'| {code} | {text} |\n' for code, text in re.findall(r'^  (\d+) +(.+)$', HELP, re.M)]
    return '\n## Exit codes\n\n| code | meaning |\n|---|---|\n' + ''.join(rows)


def _command(name: str) -> str:
    command = cli._module(name)
    parser = argparse.ArgumentParser(prog=f'rein-seg {name}', add_help=False)
    command.add_arguments(parser)
    rows = [_row(action) for action in parser._actions if action.help != argparse.SUPPRESS]
    table = '| argument | default | meaning |\n|---|---|---|\n' + ''.join(rows)
    examples = getattr(command, 'EXAMPLES', '')
    block = f'\n```text\n{examples.strip()}\n```\n' if examples else ''
    return f'\n## {name}\n\n{(command.__doc__ or "").strip()}\n\n{table}{block}'


def _row(action: argparse.Action) -> str:
    value = '' if action.nargs == 0 else action.metavar or action.dest.upper()
    value = ' '.join(value) if isinstance(value, tuple) else value
    if action.choices:
        value = '{' + ', '.join(map(str, action.choices)) + '}'
    name = ', '.join(action.option_strings) + f' {value}' if action.option_strings else action.dest
    name = name.strip().replace('|', ' or ')  # a cell's own separator
    given = action.default not in (None, False, argparse.SUPPRESS, [])
    default = f'`{action.default}`' if given and action.option_strings else ''
    text = ' '.join((action.help or '').split()).replace('|', '\\|').replace('%%', '%')
    return f'| `{name}` | {default} | {text} |\n'
