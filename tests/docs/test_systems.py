"""The table of all systems names classes that are registered, configs and commands that exist."""

import re

import pytest
from mmseg.registry import MODELS

import rein_seg.apis  # noqa: F401  registers
from rein_seg.cli import COMMANDS
from rein_seg.heads.contract import DecodeHead
from rein_seg.heads.image.contract import ImageHead
from rein_seg.registry import PEFT_METHODS
from tests.paths import REPO

PAGE = (REPO / 'docs/reference/systems.md').read_text()
COLUMNS = 5
STARTS = (
    *('full_', 'frozen_', 'lora_', 'rein_', 'zegclip_', 'conv_lora_', 'eomt_', 'pmt_'),
    '{',
)


def rows():
    table = PAGE.partition('## All systems')[2].partition('\n## ')[0]
    found = [line.strip('|').split('|') for line in table.splitlines() if line.startswith('|')]
    return [[cell.strip() for cell in row] for row in found[2:] if not row[0].startswith(' **')]


ROWS = rows()


def is_registered(name):
    return name in PEFT_METHODS.module_dict or MODELS.get(name) is not None


@pytest.mark.parametrize('row', ROWS, ids=lambda row: row[0])
def test_a_row_names_what_is_there(row):
    assert len(row) == COLUMNS and all(row)
    types = re.findall(r'`([^`]*)`', row[1])
    assert types and all(map(is_registered, types)), types
    for command, config in re.findall(r'`rein-seg ([\w-]+) (\w+)', row[4]):
        assert command in COMMANDS
        assert (REPO / f'configs/{config}.py').is_file(), config
    assert 'rein-seg' in row[4] or 'dict(type=' in row[4]


def test_every_config_in_the_page_is_there():
    names = {path.stem for path in (REPO / 'configs').glob('*.py')}
    for text in re.findall(r'`([a-z][a-z0-9_{},]*)`', PAGE):
        if text.startswith(STARTS) and '_' in text and text != 'frozen_names':
            for name in expand(text):
                assert name in names, name


def expand(text):
    """Returns the names of a text with braces.

    >>> expand('{a,b}_c')
    ['a_c', 'b_c']
    """
    found = re.search(r'{([^{}]*)}', text)
    if found is None:
        return [text]
    parts = found.group(1).split(',')
    return [n for p in parts for n in expand(text[: found.start()] + p + text[found.end() :])]


def ours():
    """Yields the names of methods, encoders, necks and heads of this package."""
    yield from PEFT_METHODS.module_dict
    for name, cls in MODELS.module_dict.items():
        module = cls.__module__
        own = module.startswith(('rein_seg.encoders.', 'rein_seg.necks.'))
        if own or issubclass(cls, (DecodeHead, ImageHead)) and module.startswith('rein_seg.'):
            yield name


def test_nothing_of_ours_is_left_out():
    named = {name for row in ROWS for name in re.findall(r'`([^`]*)`', row[1])}
    assert set(ours()) - named == set()
