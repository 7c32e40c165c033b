"""Every command line in the documents is one that the commands accept."""

import re
import shlex

import pytest

from rein_seg import cli
from rein_seg.config.find import find_config
from tests.paths import REPO

PAGES = [*REPO.glob('*.md'), *(REPO / 'docs').rglob('*.md')]
BLOCK = re.compile(r'```(?:bash|sh)\n(.*?)```', re.S)
INLINE = re.compile(r'`((?:\w+=\S+ )*rein-seg [a-z-]+ [^-`][^`]+)`')


def commands(text: str) -> list[list[str]]:
    """Returns the arguments of each call of rein-seg in a text."""
    lines = [line for block in BLOCK.findall(text) for line in _lines(block)]
    words = [shlex.split(line, comments=True) for line in lines + INLINE.findall(text)]
    return [one[one.index('rein-seg') + 1 :] for one in words if 'rein-seg' in one]


def _lines(block: str) -> list[str]:
    return block.replace('\\\n', ' ').splitlines()


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_commands_are_accepted(page):
    for name, *arguments in commands(page.read_text()):
        assert name in cli.COMMANDS, f'{page}: {name}'
        if '...' in arguments:
            continue
        parsed = cli._parser(name, cli._module(name)).parse_args(arguments)
        configs = getattr(parsed, 'config', None) or []
        for config in [configs] if isinstance(configs, str) else configs:
            if re.fullmatch('[a-z0-9_]+', config):
                find_config(config)
