"""Finds the places where two nested values differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Difference(NamedTuple):
    """A place where two nested values differ.

    Attributes:
        key: Dotted key.
        old: The first value as text, shortened; ``absent`` if there is none.
        new: The second value, likewise.
    """

    key: str
    old: str
    new: str


def differences(old: Any, new: Any) -> Iterator[Difference]:
    """Yields each place where two JSON values differ.

    Example:
        >>> from rein_seg.config.differences import differences
        >>> list(differences({'peft': {'rank': 16}}, {'peft': {'rank': 8, 'bias': True}}))
        [Difference(key='peft.rank', old='16', new='8'),
        Difference(key='peft.bias', old='absent', new='True')]
    """
    theirs, ours = dict(_flat(old)), dict(_flat(new))
    for key in [*ours, *(key for key in theirs if key not in ours)]:
        if key not in theirs or key not in ours or theirs[key] != ours[key]:
            yield Difference(key, _short(theirs, key), _short(ours, key))


def _flat(value: Any, key: str = '') -> Iterator[tuple[str, Any]]:
    if isinstance(value, (list, tuple)):
        value = dict(enumerate(value)) or []
    if not isinstance(value, Mapping) or not value:  # a leaf, or an empty container
        yield key, value
        return
    for name, part in value.items():
        yield from _flat(part, f'{key}.{name}' if key else str(name))


def _short(flat: Mapping[str, Any], key: str) -> str:
    text = repr(flat[key]) if key in flat else 'absent'
    return text if len(text) <= 60 else f'{text[:57]}...'
