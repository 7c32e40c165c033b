"""The counter of prose counts right; our prose keeps the limits (docs/background/writing.md)."""

import pytest

from tests.prose import (
    THAT_OF,
    WHAT,
    comments_per_100_lines,
    matches,
    package,
    private_references,
    read,
    what_per_10000_words,
)

SOURCE = '''"""Says what is
there, and what to do."""

import os  # why


def used():
    """Doubles what it gets, as that of what the others do.

    Example:
        >>> used()  # what is
        what is
    """
    # what a comment
    return os


def _private():
    """Example:
    >>> 1
    """
'''


def test_counts_of_a_module(tmp_path):
    path = tmp_path / 'module.py'
    path.write_text(SOURCE)
    module = read(path)
    found = matches(module.prose('docstring'), WHAT)
    assert [line.number for line in found] == [1, 8, 8]
    assert [line.number for line in matches(module.prose('comment'), WHAT)] == [14]
    assert [line.number for line in matches(module.lines, THAT_OF)] == [8]
    assert module.examples == ['used']
    assert module.code == 4
    assert comments_per_100_lines([module]) == 50


@pytest.fixture(scope='module')
def modules():
    return package()


def test_docstrings_name_things(modules):
    """The Python packages we compared with have about one such clause in 10,000 words."""
    assert what_per_10000_words(modules) <= 8, 'python -m tests.prose --list rein_seg'


def test_public_things_have_examples(modules):
    assert sum(len(module.examples) for module in modules) >= 60


def test_nothing_refers_to_papers_a_reader_lacks():
    found = private_references()
    assert not found, [f'{line.path}:{line.number}' for line in found]
