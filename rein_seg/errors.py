"""Errors that a config, a file or the command line can cause."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

WORKER_ENDED = 'DataLoader worker (pid'  # PyTorch's words for a loader process that was killed


class UserError(ValueError):
    """A mistake of the user, in a config, a file or a command; tools print it without a traceback.

    The message names the thing, the given value, the expected value and a way out, in one line.
    """


class NoFinalNorm(UserError):
    """An encoder is told to keep its final norm, and its model has none."""


class RunFailed(RuntimeError):
    """A run that cannot go on, though nothing in its input was known to be wrong."""


class NotFinite(RunFailed):
    """A NaN or an infinite value, where each result would be wrong."""


class Terminated(KeyboardInterrupt):
    """SIGTERM came: ends the program as Ctrl-C does, with an exit code of its own."""


def near_misses(
    word: str, known: Iterable[str], *, most: int = 3, otherwise: str | None = None
) -> str:
    """Names the known words that are close to ``word``.

    Args:
        word: The word that is not known.
        known: All words that are known.
        most: Number of close words to name, at most.
        otherwise: Clause to return if no word is close; by default it lists all known words.

    Returns:
        A clause such as ``did you mean 'LoRA'?`` or ``known: 'Frozen', 'Full'``.

    Example:
        >>> from rein_seg.errors import near_misses
        >>> near_misses('lora', ['LoRA', 'Frozen'])
        "did you mean 'LoRA'?"
        >>> near_misses('x', ['LoRA', 'Frozen'])
        "known: 'Frozen', 'LoRA'"
    """
    names = sorted({str(name) for name in known})
    lower = {name.lower(): name for name in names}
    close = difflib.get_close_matches(str(word).lower(), list(lower), n=most, cutoff=0.5)
    if close:
        return 'did you mean ' + ' or '.join(repr(lower[name]) for name in close) + '?'
    return otherwise or 'known: ' + ', '.join(repr(name) for name in names)
