"""Advice in messages of the readers that predictions share with training."""

from __future__ import annotations

_SKIP = (', or leave it out with skip=[NAME, ...] in the data set', '')
_COMMAND = (
    _SKIP,
    ('max_value=NUMBER in the data set', '--max-value NUMBER'),
    ('the max_value of the data set', '--max-value'),
)
_PROGRAM = (_SKIP, (' in the data set', ''), (' of the data set', ''))


def for_command(message: str) -> str:
    """Returns a message with options of ``rein-seg predict`` in place of a data set's.

    Example:
        >>> from rein_seg.inference.advice import for_command
        >>> for_command('say what is white with max_value=NUMBER in the data set')
        'say what is white with --max-value NUMBER'
    """
    return _replaced(message, _COMMAND)


def for_program(message: str) -> str:
    """Returns a message with arguments of `Predictor.predict` in place of a data set's.

    Example:
        >>> from rein_seg.inference.advice import for_program
        >>> for_program('say what is white with max_value=NUMBER in the data set')
        'say what is white with max_value=NUMBER'
    """
    return _replaced(message, _PROGRAM)


def _replaced(message: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for words, instead in pairs:
        message = message.replace(words, instead)
    return message
