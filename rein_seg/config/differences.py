"""Two parts of a config, and in words how they differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rein_seg.config.config_paths import same


def differences(name: str, ours: Any, theirs: Any) -> Iterator[str]:
    """Yields ``NAME ours instead of theirs`` for each part that differs.

    Args:
        name: What the part is called.
        ours: What a run has.
        theirs: What it should have.
    """
    if same(ours, theirs):
        return
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for key in dict.fromkeys((*theirs, *ours)):
            yield from differences(f'{name}.{key}', ours.get(key), theirs.get(key))
    elif _short(ours) and _short(theirs):
        yield f'{name} {_text(ours)} instead of {_text(theirs)}'
    else:
        yield name


def _short(value: Any) -> bool:
    plain = (str, int, float, type(None))
    if isinstance(value, (list, tuple)):
        return len(value) < 4 and all(isinstance(part, plain) for part in value)
    return isinstance(value, plain)


def _text(value: Any) -> str:
    if not isinstance(value, (list, tuple)):
        return str(value)
    numbers = all(isinstance(part, (int, float)) for part in value)
    return ('x' if numbers else ', ').join(str(part) for part in value)
