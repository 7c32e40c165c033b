"""The counter of prose counts right."""

from tests.prose import THAT_OF, WHAT, comments_per_100_lines, matches, read

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
