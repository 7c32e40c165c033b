"""The arguments of a class with their types: its own, then those it hands to its parents."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from rein_seg.config.schema.arguments import CLASSES, CLOSED, NAMES
from rein_seg.config.schema.forms import Form
from rein_seg.rules import fits

_NUMBER_LIKE = float | Sequence
_SOFT: Mapping[type, Any] = {  # type of a default -> values without an annotation
    bool: bool,
    int: _NUMBER_LIKE,
    float: _NUMBER_LIKE,
    str: str | Mapping | Sequence,
    dict: Mapping | Sequence | None,
}
_PLAIN = (int, float, bool, str, type(None), list, tuple, dict, Sequence, Mapping)


@dataclass(frozen=True)
class Argument:
    """An argument of a class.

    Attributes:
        forms: All that its value must fit.
        open: Whether its value may be None.
        needed: Whether it has no default.
    """

    forms: tuple[Form, ...]
    open: bool
    needed: bool


@dataclass(frozen=True)
class Signature:
    """The arguments of a class.

    Attributes:
        arguments: By name.
        open: Whether the class takes others.
    """

    arguments: Mapping[str, Argument]
    open: bool


@lru_cache(maxsize=512)
def signature_of(cls: type) -> Signature:
    """Returns the arguments of a class and of the parents that it hands ``**kwargs`` to.

    Example:
        >>> from rein_seg.config.schema.signature import signature_of
        >>> from rein_seg.datasets import MiniScapesDataset
        >>> found = signature_of(MiniScapesDataset)
        >>> found.open, found.arguments['count'].needed, 'pipeline' in found.arguments
        (False, True, True)
    """
    arguments: dict[str, Argument] = {}
    hands_on = True
    for parent in inspect.getmro(cls):
        if not hands_on or parent is object or '__init__' not in vars(parent):
            continue
        hands_on = False
        hints = _hints(parent)
        for name, parameter in list(_parameters(parent))[1:]:
            hands_on |= parameter.kind is parameter.VAR_KEYWORD
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                found = _argument(cls, name, parameter, hints.get(name))
                arguments.setdefault(name, found)
    named = arguments or cls.__init__ is not object.__init__
    return Signature(arguments, open=bool(hands_on and named) and cls.__name__ not in CLOSED)


def _parameters(cls: type) -> Iterator[tuple[str, inspect.Parameter]]:
    yield from inspect.signature(cls.__init__).parameters.items()


def _hints(cls: type) -> dict[str, Any]:
    try:
        return get_type_hints(cls.__init__, include_extras=True)
    except (NameError, TypeError, AttributeError):  # names imported for the type checker only
        return {}


def _argument(cls: type, name: str, parameter: inspect.Parameter, hint: Any) -> Argument:
    default, needed = parameter.default, parameter.default is parameter.empty
    own = next((CLASSES[k.__name__][name] for k in cls.__mro__ if name in _of(k)), None)
    if own is not None:
        return Argument((own,), open=False, needed=needed)
    plain = None if hint is None else _plain(hint)
    forms = [NAMES[name]] if name in NAMES else []
    if plain is not None:
        # the words of a name say more than those of a bare type
        forms.insert(0 if get_origin(plain) is Annotated else len(forms), plain)
    elif not forms and not needed and type(default) in _SOFT:
        forms = [_SOFT[type(default)]]
    nothing = default is None or any(fits(None, form) for form in (plain, NAMES.get(name)) if form)
    return Argument(tuple(forms), open=nothing, needed=needed)


def _of(cls: type) -> Mapping[str, Form]:
    return CLASSES.get(cls.__name__, {})


def _plain(hint: Any) -> Any:
    """Returns an annotation without the types that a config cannot hold, None if none is left."""
    if get_origin(hint) in (Union, UnionType):
        parts = [part for part in map(_plain, get_args(hint)) if part is not None]
        return Union[tuple(parts)] if parts else None  # noqa: UP007  of a tuple
    kind = get_origin(hint) or hint
    if isinstance(kind, type) and kind not in _PLAIN and not _is_abstract(kind):
        return None
    return hint


def _is_abstract(kind: type) -> bool:
    return kind.__module__ in ('collections.abc', 'typing', 'numbers', 'types')
