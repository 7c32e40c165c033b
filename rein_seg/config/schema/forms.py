"""The forms of a part of a config: a value, a dict of known keys, something built by its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmengine.registry import Registry

from rein_seg.rules import in_words


@dataclass(frozen=True)
class Table:
    """A dict.

    Args:
        keys: Name -> form.
        closed: Whether other keys are errors.
    """

    keys: Mapping[str, Form]
    closed: bool = True


@dataclass(frozen=True)
class Built:
    """A dict whose ``type`` names a class of a registry, with the arguments of the class.

    Args:
        registry: Of the class.
        default: Name of the class without a ``type``; None: a type is needed.
        extra: Keys that are read before the class is built.
    """

    registry: Registry
    default: str | None = None
    extra: Mapping[str, Form] | None = None


@dataclass(frozen=True)
class Name:
    """The name of a class.

    Args:
        registry: Of the class.
    """

    registry: Registry


@dataclass(frozen=True)
class Each:
    """A list of parts.

    Args:
        part: Form of each.
        least: Length of the list at least.
    """

    part: Form
    least: int = 0


@dataclass(frozen=True)
class Named:
    """A dict with names of the user's own.

    Args:
        part: Form of each value.
    """

    part: Form


@dataclass(frozen=True)
class OneOf:
    """One of several forms.

    Args:
        forms: A dict takes the first form of dicts, a list the first of lists, and so on.
    """

    forms: tuple[Form, ...]


# any other object is an annotation as in a signature, see `rein_seg.rules`
Form = Any

_DICTS = (Table, Built, Named)


def takes_dict(form: Form) -> bool:
    """Says whether a form is a dict.

    Example:
        >>> from rein_seg.config.schema.forms import Each, takes_dict
        >>> takes_dict(Each(int))
        False
    """
    return isinstance(form, _DICTS)


def words(form: Form) -> str:
    """Returns a form in words.

    Example:
        >>> from rein_seg.config.schema.forms import Each, Named, OneOf, words
        >>> words(OneOf((Named(int), Each(int), None)))
        'a dict or a list or None'
        >>> words(Each(int, least=2))
        'a list of 2 or more'
    """
    if isinstance(form, OneOf):
        return ' or '.join(dict.fromkeys(map(words, form.forms)))
    if isinstance(form, Name):
        return 'the name of a class'
    if isinstance(form, Built):
        return 'a dict' if form.default else 'a dict with a type'
    if takes_dict(form):
        return 'a dict'
    if isinstance(form, Each):
        if form.least > 1:
            return f'a list of {form.least} or more'
        return 'a list, not empty' if form.least else 'a list'
    return 'None' if form is None else in_words(form)
