"""Compares a config with the schema: names of classes, their arguments, values and ranges."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from mmengine.registry import DATASETS, TRANSFORMS, Registry

from rein_seg.config.registered import find_class, not_registered
from rein_seg.config.schema.arguments import DELEGATES, INFINITE, NAMES, UNREAD
from rein_seg.config.schema.forms import (
    Built,
    Each,
    Form,
    Name,
    Named,
    OneOf,
    Table,
    takes_dict,
    words,
)
from rein_seg.config.schema.keys import KEYS
from rein_seg.config.schema.signature import Argument, Signature, signature_of
from rein_seg.errors import UserError, near_misses
from rein_seg.registry import OLD_ARGUMENTS
from rein_seg.rules import fits

_WAYS_OUT = {
    'option': '; correct this option',
    'command': '; correct the arguments of the command',
    'config': '; correct it in the config',
}
_NEAR = 0.8  # share of letters in common: a slip, where other keys are free
_SHOWN = 80  # characters of a value in a message
# classes that are built from their config alone: what they need must be there
_ALONE = (DATASETS, TRANSFORMS)
_NEEDED = {'PEFTBackbone', 'PEFTSegmentor', 'PEFTImageModel'}
_LATE = ('PEFTImageModel', 'num_classes')  # folders of images name the classes, where they are


def check_values(
    cfg: Mapping[str, Any], author: Callable[[str], str | None], *, complete: bool
) -> None:
    """Checks every value of a config that something reads.

    Args:
        cfg: The content.
        author: Dotted key -> who set it.
        complete: Whether the gaps are filled; before, a part may lack its ``type``.

    Raises:
        UserError: For the first wrong value, name of a class or name of an argument.

    Example:
        >>> from rein_seg.config.schema.check import check_values
        >>> check_values({'train_cfg': {'max_iters': 0}}, {}.get, complete=False)
        Traceback (most recent call last):
        rein_seg.errors.UserError: train_cfg.max_iters=0: expected a whole number, at least 1, ...
    """
    check = _Check(author, complete)
    for key, value in cfg.items():
        if key in KEYS:
            check.part(key, value, KEYS[key])


def check_keys(content: Mapping[str, Any], keys: Mapping[str, Form], file: str) -> None:
    """Checks the content of a file whose keys are all known.

    Args:
        content: Of the file.
        keys: Key -> form of its value.
        file: Its name, for messages.

    Raises:
        UserError: For the first unknown key or wrong value.

    Example:
        >>> from rein_seg.config.schema.check import check_keys
        >>> check_keys({'size': 'large'}, {'size': int}, 'data.yaml')
        Traceback (most recent call last):
        rein_seg.errors.UserError: size='large': expected a whole number; correct it in data.yaml
    """
    check = _Check(lambda _: file, complete=True)
    for key, value in content.items():
        if key not in keys:
            raise UserError(f'{file} has a key {key!r}; {near_misses(key, keys)} correct it')
        check.part(key, value, keys[key])


@dataclass(frozen=True)
class _Check:
    author: Callable[[str], str | None]
    complete: bool

    def part(self, place: str, value: Any, form: Form, registry: Registry | None = None) -> None:
        """Checks a part of a config; ``registry`` is of the class that it is an argument of."""
        if isinstance(form, OneOf):
            form = next((one for one in form.forms if _is_kind(value, one)), form)
        if not _is_kind(value, form):
            self.refuse(place, value, words(form))
        if isinstance(form, Table):
            self.table(place, value, form)
        elif isinstance(form, Built):
            self.built(place, value, form)
        elif isinstance(form, Name):
            self.named(place, value, form.registry)
        elif isinstance(form, Named):
            for name, one in value.items():
                self.part(f'{place}.{name}', one, form.part)
        elif isinstance(form, Each):
            for i, one in enumerate(value):
                self.part(f'{place}.{i}', one, form.part)
        else:
            self.inside(place, value, registry)

    def table(self, place: str, node: Mapping[str, Any], table: Table) -> None:
        """Checks a dict of known keys."""
        for key, value in node.items():
            if key in table.keys:
                self.part(f'{place}.{key}', value, table.keys[key])
            elif table.closed or get_close_matches(key, table.keys, n=1, cutoff=_NEAR):
                raise UserError(
                    f'{place} has a key {key!r}; '
                    f'{near_misses(key, table.keys)}{self.where(f"{place}.{key}")}'
                )
            else:
                self.inside(f'{place}.{key}', value, None)

    def built(self, place: str, node: Mapping[str, Any], form: Built) -> None:
        """Checks a part that is built by name."""
        name, extra = node.get('type', form.default), dict(form.extra or {})
        cls = self.named(f'{place}.type', name, form.registry) if 'type' in node or name else None
        if cls is None and self.complete and 'type' not in node:
            raise UserError(
                f"{place} has no 'type': give dict(type=...), the name of a class"
                + (f'; it has {", ".join(map(repr, node))}' if node else '')
            )
        taken = signature_of(cls) if cls else Signature({}, open=True)
        for key, value in node.items():
            here = f'{place}.{key}'
            if key == 'type':
                continue
            if key in extra:
                self.part(here, value, extra[key])
            elif key in taken.arguments:
                self.argument(here, value, taken.arguments[key], form.registry)
            elif cls and not self.takes_more(cls, key, node, taken, form.registry):
                known = [*taken.arguments, *extra]
                raise UserError(
                    f'{place} ({cls.__name__}) takes no {key!r}; '
                    f'{near_misses(key, known, otherwise="leave it out")}{self.where(here)}'
                )
            else:
                self.loose(here, key, value, form.registry)
        if cls and self.complete:
            self.needed(place, node, cls, taken, form.registry)

    def named(self, place: str, name: Any, registry: Registry) -> type | None:
        """Returns the class of a name, None for a function."""
        if isinstance(name, type):
            return name
        if not isinstance(name, str):
            self.refuse(place, name, 'the name of a class')
        cls = find_class(registry, name)
        if cls is None:
            raise UserError(f'{place}={name!r} {not_registered(registry, name)}')
        return cls if isinstance(cls, type) else None

    def takes_more(
        self, cls: type, key: str, node: Mapping[str, Any], taken: Signature, registry: Registry
    ) -> bool:
        """Says whether a class takes an argument beside the named ones."""
        if key in OLD_ARGUMENTS or key.startswith('_'):  # its builder has more to say
            return True
        other = node.get(DELEGATES.get(cls.__name__, ''))
        target = find_class(registry, other) if isinstance(other, str) else None
        return key in signature_of(target).arguments if target else taken.open

    def needed(
        self, place: str, node: Mapping[str, Any], cls: type, taken: Signature, registry: Registry
    ) -> None:
        """Checks that nothing is missing."""
        if registry not in _ALONE and cls.__name__ not in _NEEDED:
            return
        for key, argument in taken.arguments.items():
            if argument.needed and key not in node and (cls.__name__, key) != _LATE:
                raise UserError(
                    f'{place}.{key} is missing: {cls.__name__} needs it; give {words_of(argument)}'
                )

    def argument(self, place: str, value: Any, argument: Argument, registry: Registry) -> None:
        """Checks an argument of a class."""
        if value is None and argument.open:
            return
        for form in argument.forms:
            self.part(place, value, form, registry)
        if not argument.forms:
            self.inside(place, value, registry)

    def loose(self, place: str, key: str, value: Any, registry: Registry | None) -> None:
        """Checks a value whose reader is not known, by its name: it, or each of a list."""
        if key in NAMES and isinstance(value, (int, float, str)):
            self.part(place, value, NAMES[key], registry)
        else:
            self.inside(place, value, registry)

    def inside(self, place: str, value: Any, registry: Registry | None) -> None:
        """Checks the parts of a value whose form says nothing of them."""
        name = place.rpartition('.')[2]
        if isinstance(value, float) and not math.isfinite(value) and name not in INFINITE:
            self.refuse(place, value, 'a finite number')
        if name in UNREAD or isinstance(value, str):
            return
        if isinstance(value, Mapping):
            known = registry and isinstance(value.get('type'), str)
            if known and find_class(registry, value['type']) is not None:
                self.built(place, value, Built(registry))
                return
            for key, part in value.items():
                self.loose(f'{place}.{key}', str(key), part, registry)
        elif isinstance(value, Sequence):
            for i, part in enumerate(value):
                self.inside(f'{place}.{i}', part, registry)

    def refuse(self, place: str, value: Any, expected: str) -> None:
        """Raises the error of a wrong value."""
        said = repr(value)
        short = said if len(said) <= _SHOWN else f'{said[:_SHOWN]}...'
        raise UserError(
            f'{place}={short}: expected {expected}{_slip(value, expected)}{self.where(place)}'
        )

    def where(self, place: str) -> str:
        """Returns the way out: where the value was set."""
        author = self.author(place) or 'config'
        return _WAYS_OUT.get(author, f'; correct it in {author}')


def _slip(value: Any, expected: str) -> str:
    """Returns how a value that is nearly right came about, if it is."""
    if isinstance(value, str) and value.startswith('{'):
        return '; text holds no dict: set its parts, KEY.PART=VALUE'
    if 'number' not in expected:
        return ''
    if isinstance(value, float) and value.is_integer() and 'whole' in expected:
        return f'; write {int(value)}' if abs(value) < 10**12 else ''
    try:
        float(value if isinstance(value, str) else '')
    except ValueError:
        return ''
    return '; it is text: write the number without quotes, in YAML as 1.0e-3'


def words_of(argument: Argument) -> str:
    """Returns the values of an argument in words."""
    return words(argument.forms[0]) if argument.forms else 'a value'


def _is_kind(value: Any, form: Form) -> bool:
    """Says whether a value has a form, but for its parts."""
    if isinstance(form, OneOf):
        return any(_is_kind(value, one) for one in form.forms)
    if takes_dict(form):
        return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
    if isinstance(form, Name):
        return isinstance(value, (str, type))
    if isinstance(form, Each):
        return _is_list(value) and len(value) >= form.least
    return value is None if form is None else fits(value, form)


def _is_list(value: Any) -> bool:
    return isinstance(value, Iterable) and isinstance(value, (list, tuple))
