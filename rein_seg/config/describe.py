"""A resolved config in words: each value, and who set it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rein_seg.config.find import CONFIGS
from rein_seg.config.origins import leaves
from rein_seg.errors import UserError, near_misses

if TYPE_CHECKING:
    from rein_seg.config.resolve import Resolved


def describe(resolved: Resolved, key: str | None = None) -> Iterator[str]:
    """Yields ``KEY = VALUE  # ORIGIN`` for each value, in aligned columns.

    Args:
        resolved: A config of a run.
        key: Dotted key of the part to describe; None describes all.

    Raises:
        UserError: If the config has no such key; the message names the near misses.

    Example:
        >>> from mmengine.config import Config
        >>> from types import SimpleNamespace
        >>> from rein_seg.config.describe import describe
        >>> cfg, origins = Config(dict(optim=dict(lr=0.1))), {'optim.lr': 'option'}
        >>> list(describe(SimpleNamespace(cfg=cfg, origins=origins), 'optim'))
        ['optim.lr = 0.1  # option']
    """
    values = dict(leaves(resolved.cfg.to_dict()))
    if key is not None:
        known = values
        values = {k: v for k, v in known.items() if k == key or k.startswith(f'{key}.')}
        if not values:
            raise UserError(
                f'the config has no {key!r}; {near_misses(key, _parts(known))}; leave KEY out to '
                'see all'
            )
    lines = {name: f'{name} = {value!r}' for name, value in values.items()}
    width = min(max(map(len, lines.values())), 80)
    for name, line in lines.items():
        yield f'{line:<{width}}  # {_short(resolved.origins.get(name, "default"))}'


def _short(origin: str) -> str:
    """Shortens the paths of shipped files, and of files below the working directory."""
    for folder, name in ((CONFIGS.resolve(), 'configs'), (Path.cwd(), '.')):
        if origin.endswith('.py') and Path(origin).resolve().is_relative_to(folder):
            return str(name / Path(origin).resolve().relative_to(folder))
    return origin


def _parts(keys: dict) -> list[str]:
    """Returns the keys and all beginnings of them."""
    found = {}
    for key in keys:
        words = key.split('.')
        found.update(dict.fromkeys('.'.join(words[: i + 1]) for i in range(len(words))))
    return list(found)
