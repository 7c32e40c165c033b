"""Who set each value of a config: dotted key -> a file, a benchmark, a protocol, an option."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mmengine.config import Config

Origins = dict[str, str]


def leaves(content: Any, place: str = '') -> Iterator[tuple[str, Any]]:
    """Yields dotted key and value of everything in a config that is no dict and no list of dicts.

    Example:
        >>> from rein_seg.config.origins import leaves
        >>> config = dict(model=dict(size=(2, 3)), steps=[dict(type='A'), dict(type='B')])
        >>> dict(leaves(config))
        {'model.size': (2, 3), 'steps.0.type': 'A', 'steps.1.type': 'B'}
    """
    parts = list(inside(content))
    if not parts:
        yield place, content
    for key, value in parts:
        yield from leaves(value, f'{place}.{key}' if place else str(key))


def inside(content: Any) -> Iterator[tuple[Any, Any]]:
    """Yields keys and parts of a dict, places and parts of a list of dicts."""
    if isinstance(content, Mapping):
        yield from content.items()
    elif isinstance(content, (list, tuple)) and any(isinstance(x, Mapping) for x in content):
        yield from enumerate(content)


class Trace:
    """Calls the steps that write into a config, and keeps who set each value.

    Args:
        cfg: The config.
        origins: Of its values so far.

    Example:
        >>> from mmengine.config import Config
        >>> from rein_seg.config.origins import Trace
        >>> step = Trace(Config(dict(lr=1.0, seed=3)), {'lr': 'leaf.py', 'seed': 'leaf.py'})
        >>> step('option', lambda cfg: cfg.update(lr=2.0))
        >>> step.origins
        {'lr': 'option', 'seed': 'leaf.py'}
    """

    def __init__(self, cfg: Config, origins: Mapping[str, str]) -> None:
        self.origins = dict(origins)
        self._cfg, self._values = cfg, dict(leaves(cfg.to_dict()))

    def author(self, key: str) -> str | None:
        """Returns who set a value, or the first value of a part; None where nobody did."""
        if key in self.origins:
            return self.origins[key]
        return next((self.origins[k] for k in self.origins if k.startswith(f'{key}.')), None)

    def __call__(
        self,
        label: str,
        function: Callable[..., object],
        *args: Any,
        like: Callable[[str], str] | None = None,
    ) -> None:
        """Calls ``function(cfg, *args)``; new and changed values were set by ``label``.

        Args:
            label: Who they are from.
            function: A step.
            *args: Its further arguments.
            like: Key -> key of the value that it copies: it is from there, if there is such a key.
        """
        function(self._cfg, *args)
        values, before = dict(leaves(self._cfg.to_dict())), self.origins
        self.origins = {
            key: before[key]
            if key in self._values and self._values[key] == value
            else before.get(like(key), label)
            if like
            else label
            for key, value in values.items()
        }
        self._values = values
