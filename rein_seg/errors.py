"""Errors that a config, a file or the command line can cause."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake of the user, in a config, a file or a command; tools print it without a traceback.

    The message names the thing, the given value, the expected value and a way out, in one line.
    """


def near_misses(word: str, known: Iterable[str], *, most: int = 3) -> str:
    """Says which known words are close to ``word``, or lists them all where none is.

    Args:
        word: What came.
        known: What would have been understood.
        most: How many close words at most.

    Returns:
        A clause such as ``did you mean 'LoRA'?`` or ``known: 'Frozen', 'Full'``.
    """
    names = sorted({str(name) for name in known})
    lower = {name.lower(): name for name in names}
    close = difflib.get_close_matches(str(word).lower(), list(lower), n=most, cutoff=0.5)
    if close:
        return 'did you mean ' + ' or '.join(repr(lower[name]) for name in close) + '?'
    return 'known: ' + ', '.join(repr(name) for name in names)
