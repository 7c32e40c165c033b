"""Checks the arguments of a method against the annotations of its ``__init__``; see `rules`.

The method itself checks arguments of types that `rules` does not understand.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Literal, get_type_hints

from torch import nn

from rein_seg.errors import UserError
from rein_seg.rules import (
    NOT_EMPTY,
    ODD,
    Count,
    Names,
    NotNegative,
    Positive,
    Probability,
    Rule,
    at_least,
    fits,
    in_words,
)

__all__ = [
    'NOT_EMPTY', 'ODD', 'Act', 'Count', 'Names', 'NotNegative', 'Positive', 'Probability', 'Rule',
    'at_least', 'checked', 'fits', 'in_words', 'make_act',
]  # fmt: skip

Act = Literal['relu', 'gelu', 'gelu_tanh', 'none']


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


def _plain_form(value: Any, hint: Any) -> str:
    """Returns the way out for a number of NumPy or PyTorch."""
    plain = value.item() if getattr(value, 'shape', None) == () else None
    return f'; give {plain!r}' if plain is not None and fits(plain, hint) else ''


def make_act(name: Act) -> nn.Module:
    """Returns the activation of this name."""
    if name == 'gelu_tanh':
        return nn.GELU(approximate='tanh')
    return {'relu': nn.ReLU, 'gelu': nn.GELU, 'none': nn.Identity}[name]()
