"""Every value of a config with its author, and the defaults of a part's class."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rein_seg.config.find import CONFIGS
from rein_seg.config.names import registry_of
from rein_seg.config.origins import inside, leaves
from rein_seg.config.registered import find_class
from rein_seg.config.resolve import Resolved
from rein_seg.errors import UserError, near_misses

_ENCODERS = 'configs/_base_/encoders/'


@dataclass(frozen=True)
class Line:
    """One value.

    Attributes:
        key: Dotted.
        value: In the resolved config.
        origin: A file, a benchmark, a protocol, ``option``, ``command`` or a default.
    """

    key: str
    value: Any
    origin: str


def explain(resolved: Resolved, key: str | None = None) -> list[Line]:
    """Returns the values of a config, or below a key, each with its author.

    Args:
        resolved: The config.
        key: Dotted key of a value or of a part; a part is followed by the arguments of its class
            that the config leaves to their defaults. None is the whole config.

    Raises:
        UserError: If there is no such key.

    Example:
        >>> from rein_seg.config.resolve import resolve
        >>> from rein_seg.config.describe import explain
        >>> for line in explain(resolve('rein_dinov2_gtav'), 'optim_wrapper.optimizer'):
        ...     print(line.key.rpartition('.')[2], line.value, line.origin)
        type AdamW protocol rein512
        lr 0.0001 protocol rein512
        weight_decay 0.05 protocol rein512
        betas (0.9, 0.999) protocol rein512
        eps 1e-08 protocol rein512
        amsgrad False default of AdamW
        maximize False default of AdamW
        foreach None default of AdamW
        capturable False default of AdamW
        differentiable False default of AdamW
        fused None default of AdamW
    """
    content = resolved.cfg.to_dict()
    lines = [
        Line(place, value, _short(resolved.origins[place]))
        for place, value in leaves(content)
        if key is None or place == key or place.startswith(f'{key}.')
    ]
    if key is None:
        return lines
    lines += _defaults(content, key)
    if not lines:
        raise UserError(f'the config has no {key!r}; {near_misses(key, _places(content))}')
    return lines


def _defaults(content: Mapping[str, Any], key: str) -> Iterator[Line]:
    """Yields arguments that the class at a key, or at the key before the last, has by default."""
    for place in (key, key.rpartition('.')[0]):
        node = _at(content, place)
        registry = registry_of(place) if isinstance(node, Mapping) and 'type' in node else None
        cls = None if registry is None else find_class(registry, node['type'])
        for name, argument in inspect.signature(cls).parameters.items() if cls else ():
            wanted = place == key or f'{place}.{name}' == key
            if wanted and name not in node and argument.default is not argument.empty:
                yield Line(f'{place}.{name}', argument.default, f'default of {cls.__name__}')


def _at(content: Any, place: str) -> Any:
    """Returns the part at a dotted key, None where there is none."""
    for key in place.split('.'):
        content = {str(name): part for name, part in inside(content)}.get(key)
    return content


def _places(content: Any, place: str = '') -> Iterator[str]:
    for key, part in inside(content):
        here = f'{place}.{key}' if place else str(key)
        yield here
        yield from _places(part, here)


def _short(origin: str) -> str:
    """Shortens paths of shipped files, with a word if it is an encoder's, and of files at hand."""
    for folder, name in ((CONFIGS.resolve(), 'configs'), (Path.cwd(), '.')):
        if origin.endswith('.py') and Path(origin).resolve().is_relative_to(folder):
            short = str(name / Path(origin).resolve().relative_to(folder))
            return f'{short} (encoder)' if short.startswith(_ENCODERS) else short
    return origin


def describe(resolved: Resolved, key: str | None = None) -> Iterator[str]:
    """Yields ``KEY = VALUE  # AUTHOR`` for each value, in aligned columns.

    Of a whole config, the last line names the protocol and the deviations from it.

    Args:
        resolved: The config.
        key: As `explain`.

    Raises:
        UserError: If there is no such key.
    """
    lines = explain(resolved, key)
    said = [f'{line.key} = {line.value!r}' for line in lines]
    width = min(60, max(map(len, said)))
    for one, line in zip(said, lines, strict=True):
        yield f'{one:<{width}}  # {line.origin}'
    if key is None:
        deviations = [*resolved.deviations.training, *resolved.deviations.test]
        changed = '; '.join(dict.fromkeys(deviations)) or 'nothing'
        yield f'# protocol {resolved.protocol.name or None}, changed: {changed}'
