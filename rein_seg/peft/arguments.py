"""Checks the arguments of a method against the annotations of its ``__init__``.

It understands int, float, bool, str, None, ``Literal``, ``Sequence`` and unions of them; a `Rule`
in ``Annotated`` limits the values. The method itself checks arguments of other types.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from torch import nn

from rein_seg.errors import UserError


class Rule(NamedTuple):
    """A limit on a value, and its words in a message."""

    words: str
    holds: Callable[[Any], bool]


def at_least(least: float) -> Rule:
    """Returns the rule value >= ``least``."""
    return Rule(f'at least {least}', lambda value: value >= least)


ODD = Rule('odd', lambda value: value % 2 == 1)
NOT_EMPTY = Rule('not empty', lambda value: len(value) > 0)

Count = Annotated[int, at_least(1)]
NotNegative = Annotated[float, at_least(0)]
Positive = Annotated[float, Rule('above 0', lambda value: value > 0)]
Probability = Annotated[float, Rule('from 0 to 1', lambda value: 0 <= value <= 1)]
Names = Annotated[Sequence[str], NOT_EMPTY]

Act = Literal['relu', 'gelu', 'gelu_tanh', 'none']

_WORDS = {
    int: 'a whole number',
    float: 'a number',
    bool: 'True or False',
    str: 'a name',
    NoneType: 'None',
}
_PLURAL = {int: 'whole numbers', float: 'numbers', str: 'names'}


def checked(init: Callable[..., None]) -> Callable[..., None]:
    """Returns a method's ``__init__`` that first checks its arguments.

    Raises:
        UserError: If an argument does not fit its annotation; names method, argument, value and
            the expected values.

    Example:
        >>> from rein_seg.peft import LoRA
        >>> LoRA(rank='4')
        Traceback (most recent call last):
        rein_seg.errors.UserError: LoRA rank='4': expected a whole number, at least 1
    """
    signature = inspect.signature(init)

    @functools.wraps(init)
    def with_checks(self: Any, *args: Any, **kwargs: Any) -> None:
        hints = _hints(init)
        try:
            given = signature.bind(self, *args, **kwargs).arguments
        except TypeError:
            given = {}  # the call below raises the error of an unknown or missing argument
        for name, value in given.items():
            if name in hints and not fits(value, hints[name]):
                raise UserError(
                    f'{type(self).__name__} {name}={value!r}: expected {in_words(hints[name])}'
                    f'{_plain_form(value, hints[name])}'
                )
        init(self, *args, **kwargs)

    return with_checks


def _hints(init: Callable[..., None]) -> dict[str, Any]:
    try:
        return get_type_hints(init, include_extras=True)
    except NameError:  # names imported for the type checker only; such a method checks itself
        return {}


def fits(value: Any, hint: Any) -> bool:
    """Says whether a value fits an annotation; an unknown annotation fits every value.

    Example:
        >>> from rein_seg.peft.arguments import Count, fits
        >>> [fits(value, Count | None) for value in (4, None, 0, 4.0, True, '4')]
        [True, True, False, False, False, False]
    """
    kind, args = get_origin(hint), get_args(hint)
    if kind is Annotated:
        return fits(value, args[0]) and all(rule.holds(value) for rule in args[1:])
    if kind in (Union, UnionType):
        return any(fits(value, arg) for arg in args)
    if kind is Literal:
        return isinstance(value, str) and value in args
    if kind is Sequence:
        listed = isinstance(value, Sequence) and not isinstance(value, str | bytes)
        return listed and all(fits(each, args[0]) for each in value)
    # the exact types: True is an int, and a config with NumPy's numbers cannot be read back
    if hint is int:
        return type(value) is int
    if hint is float:
        return type(value) in (int, float) and math.isfinite(value)
    return isinstance(value, hint) if hint in (bool, str, NoneType) else True


def in_words(hint: Any) -> str:
    """Returns an annotation in words.

    Example:
        >>> from typing import Literal
        >>> from rein_seg.peft.arguments import Count, in_words
        >>> in_words(Count | None), in_words(Literal['deep', 'shallow'])
        ('a whole number, at least 1, or None', 'deep or shallow')
    """
    kind, args = get_origin(hint), get_args(hint)
    if kind is Annotated:
        return ', '.join([in_words(args[0]), *(rule.words for rule in args[1:])])
    if kind in (Union, UnionType):
        words = [in_words(arg) for arg in args]
        return (', or ' if ',' in words[0] else ' or ').join(words)
    if kind is Literal:
        return ' or '.join(args)
    if kind is Sequence:
        each, *rules = get_args(args[0]) or args
        plural = f'a list of {_PLURAL.get(each, "values")}'
        return ', each '.join([plural, *(rule.words for rule in rules)])
    return _WORDS.get(hint, getattr(hint, '__name__', str(hint)))


def _plain_form(value: Any, hint: Any) -> str:
    """Returns the way out for a number of NumPy or PyTorch."""
    plain = value.item() if getattr(value, 'shape', None) == () else None
    return f'; give {plain!r}' if plain is not None and fits(plain, hint) else ''


def make_act(name: Act) -> nn.Module:
    """Returns the activation of this name."""
    if name == 'gelu_tanh':
        return nn.GELU(approximate='tanh')
    return {'relu': nn.ReLU, 'gelu': nn.GELU, 'none': nn.Identity}[name]()
