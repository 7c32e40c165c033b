"""Types of values with their limits: the language of annotations that configs are checked by.

It understands int, float, bool, str, None, ``Literal``, sequences, mappings and unions of them; a
`Rule` in ``Annotated`` limits the values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Number
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin


class Rule(NamedTuple):
    """A limit on a value, and its words in a message."""

    words: str
    holds: Callable[[Any], bool]


def at_least(least: float) -> Rule:
    """Returns the rule value >= ``least``."""
    return Rule(f'at least {least}', lambda value: value >= least)


def at_most(most: float) -> Rule:
    """Returns the rule value <= ``most``."""
    return Rule(f'at most {most}', lambda value: value <= most)


ODD = Rule('odd', lambda value: value % 2 == 1)
NOT_EMPTY = Rule('not empty', lambda value: len(value) > 0)
ABOVE_0 = Rule('above 0', lambda value: value > 0)

Count = Annotated[int, at_least(1)]
NotNegative = Annotated[float, at_least(0)]
Positive = Annotated[float, ABOVE_0]
Probability = Annotated[float, Rule('from 0 to 1', lambda value: 0 <= value <= 1)]
Names = Annotated[Sequence[str], NOT_EMPTY]

_WORDS = {
    int: 'a whole number',
    float: 'a number',
    Number: 'a number',
    bool: 'True or False',
    str: 'a name',
    NoneType: 'None',
    Any: 'any value',
}
_PLURAL = {int: 'whole numbers', float: 'numbers', str: 'names'}
_NUMBERS = (float, Number)
_PLAIN = (int, bool, str, NoneType)
_MAPPINGS = (dict, Mapping)


def fits(value: Any, hint: Any) -> bool:
    """Says whether a value fits an annotation; an unknown annotation fits every value.

    A list is as good as a tuple.

    Example:
        >>> from rein_seg.rules import Count, fits
        >>> [fits(value, Count | None) for value in (4, None, 0, 4.0, True, '4')]
        [True, True, False, False, False, False]
        >>> [fits(value, tuple[int, int]) for value in ([2, 3], (2,), (2, 3.5))]
        [True, False, False]
    """
    kind, args = get_origin(hint), get_args(hint)
    if kind is Annotated:
        return fits(value, args[0]) and all(rule.holds(value) for rule in args[1:])
    if kind in (Union, UnionType):
        return any(fits(value, arg) for arg in args)
    if kind is Literal:
        return any(type(value) is type(arg) and value == arg for arg in args)
    if _is_sequence(kind or hint):
        return _fits_sequence(value, args)
    if (kind or hint) in _MAPPINGS:
        parts = value.values() if isinstance(value, Mapping) else [value]
        return isinstance(value, Mapping) and all(
            fits(each, (args or (Any, Any))[1]) for each in parts
        )
    # the exact types: True is an int, and a config with NumPy's numbers cannot be read back
    if hint is int:
        return type(value) is int
    if hint in _NUMBERS:
        return type(value) in (int, float) and math.isfinite(value)
    return isinstance(value, hint) if hint in _PLAIN else True


def _is_sequence(kind: Any) -> bool:
    return kind in (Sequence, Iterable, list, tuple)


def _fits_sequence(value: Any, args: tuple[Any, ...]) -> bool:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        return False
    if len(args) < 2 or args[1] is ...:
        return all(fits(each, args[0]) for each in value) if args else True
    return len(value) == len(args) and all(map(fits, value, args))


def in_words(hint: Any) -> str:
    """Returns an annotation in words.

    Example:
        >>> from typing import Literal
        >>> from rein_seg.rules import Count, in_words
        >>> in_words(Count | None), in_words(Literal['deep', 'shallow'])
        ('a whole number, at least 1, or None', 'deep or shallow')
        >>> in_words(tuple[float, float])
        'a list of 2 numbers'
    """
    kind, args = get_origin(hint), get_args(hint)
    if kind is Annotated:
        kind = [] if args[0] is Any else [in_words(args[0])]
        return ', '.join([*kind, *(rule.words for rule in args[1:])])
    if kind in (Union, UnionType):
        words = list(dict.fromkeys(in_words(arg) for arg in args))
        return (', or ' if ',' in words[0] else ' or ').join(words)
    if kind is Literal:
        return ' or '.join(map(str, args))
    if _is_sequence(kind or hint):
        return _sequence_in_words(args)
    if (kind or hint) in _MAPPINGS:
        return 'a dict'
    return _WORDS.get(hint, getattr(hint, '__name__', str(hint)))


def _sequence_in_words(args: tuple[Any, ...]) -> str:
    each, *rules = get_args(args[0]) or args[:1] if args else (Any,)
    size = f'{len(args)} ' if len(args) > 1 and args[1] is not ... else ''
    plural = f'a list of {size}{_PLURAL.get(each, "values")}'
    return ', each '.join([plural, *(rule.words for rule in rules if isinstance(rule, Rule))])
