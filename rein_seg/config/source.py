"""The content of config files, laid over each other, and who sets each value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mmengine.config import Config, ConfigDict

from rein_seg.config.builtin import find_benchmark
from rein_seg.config.data_file import read_benchmark
from rein_seg.config.definitions import Benchmark
from rein_seg.config.origins import Origins, inside, leaves
from rein_seg.config.schedule import reach_length
from rein_seg.errors import UserError

_BENCHMARK, _DATA = 'benchmark', 'data'
# keys of a benchmark's definition: another benchmark replaces all of them
_OF_A_BENCHMARK = (
    _BENCHMARK, 'protocol', 'data_root', 'epochs', 'expected_images', 'train_dataloader',
    'val_dataloader', 'test_dataloader', 'val_evaluator', 'test_evaluator',
)  # fmt: skip


@dataclass
class Source:
    """The content of config files.

    Attributes:
        content: With all bases.
        origins: Dotted key of each value -> the file or the benchmark that sets it.
        text: Of all files.
        variables: Top-level names that the files themselves read.
        unread: Top-level names that no file reads so far; None: not known.
    """

    content: ConfigDict = field(default_factory=ConfigDict)
    origins: Origins = field(default_factory=dict)
    text: str = ''
    variables: set[str] = field(default_factory=set)
    unread: set[str] | None = field(default_factory=set)


def lay_over(base: Source, own: Mapping[str, Any], label: str) -> Source:
    """Returns ``base`` with ``own`` merged over it.

    Args:
        base: Content so far.
        own: Further content; ``_delete_=True`` in a dict replaces the dict below.
        label: Author of ``own``.
    """
    own = dict(own)
    named = own.get(_BENCHMARK)
    if isinstance(named, str):
        base = _with_benchmark(base, find_benchmark(own.pop(_BENCHMARK)), named)
    elif isinstance(named, Mapping) and _DATA in named:
        changes = {key: value for key, value in named.items() if key != _DATA}
        file = str(named[_DATA])
        base = _with_benchmark(base, read_benchmark(file, changes), file)
        del own[_BENCHMARK]
    # a part taken over from a base, such as `_base_.encoder`, was set in that base
    places = dict(_nodes(base.content))
    origins = {**base.origins, **dict(_origins(own, label, base.origins, places))}
    merged = Config(base.content)
    merged.merge_from_dict(_unshared(own), allow_list_keys=False)
    content = ConfigDict(merged.to_dict())
    values = dict(leaves(content))
    reach_length(content, own, base.content)
    for key, value in leaves(content):
        if values[key] != value:
            origins[key] = label
    kept = {key: origins.get(key, label) for key in values}
    return Source(content, kept, base.text, base.variables, base.unread)


def _with_benchmark(base: Source, definition: Benchmark, name: str) -> Source:
    below = base.content
    if _BENCHMARK in below:
        below = ConfigDict({k: v for k, v in below.items() if k not in _OF_A_BENCHMARK})
    rest = replace(base, content=below)
    return lay_over(rest, definition.content(), f'benchmark {name}')


def _unshared(value: Any) -> Any:
    """Copies dicts and lists: merging takes ``_delete_`` out, of two names for one dict as well."""
    if isinstance(value, Mapping):
        return {key: _unshared(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([_unshared(part) for part in value])
    return value


def without_marks(value: Any) -> Any:
    """Drops ``_delete_``, which mmengine leaves in a dict that replaces none.

    Example:
        >>> from rein_seg.config.source import without_marks
        >>> without_marks(dict(ema=dict(_delete_=True, momentum=0.1)))
        {'ema': {'momentum': 0.1}}
    """
    if isinstance(value, Mapping):
        return {key: without_marks(part) for key, part in value.items() if key != '_delete_'}
    if isinstance(value, (list, tuple)):
        return type(value)([without_marks(part) for part in value])
    return value


def _nodes(content: Any, place: str = '') -> Any:
    """Yields identity and dotted key of every part that is a dict or a list of dicts."""
    for key, part in inside(content):
        here = f'{place}.{key}' if place else str(key)
        if isinstance(part, (Mapping, list, tuple)) and part:  # other values have no identity
            yield id(part), here
        yield from _nodes(part, here)


def _origins(
    content: Any, label: str, below: Mapping[str, str], places: Mapping[int, str], place: str = ''
) -> Any:
    """Yields dotted key and origin of every value that is set here or taken over from a base."""
    if id(content) in places:
        taken = places[id(content)]
        for key, _ in leaves(content):
            yield _dotted(place, key), below[_dotted(taken, key)]
        return
    parts = list(inside(content))
    if not parts:
        yield place, label
    for key, part in parts:
        yield from _origins(part, label, below, places, _dotted(place, str(key)))


def _dotted(place: str, key: str) -> str:
    return '.'.join(filter(None, [place, key]))


def join(bases: Sequence[Source], path: str) -> Source:
    """Returns all bases of a file as one."""
    joined = Source()
    for base in bases:
        for key in sorted(joined.content.keys() & base.content.keys()):
            raise UserError(
                f'config {path!r}: {key!r} is defined by two of its bases, '
                f'{_label(joined, key)} and {_label(base, key)}: leave one of them out'
            )
        joined.content.update(base.content)
        joined.origins.update(base.origins)
        joined.variables |= base.variables
        joined.unread = either(joined.unread, base.unread)
        joined.text = '\n'.join(filter(None, [joined.text, base.text]))
    return joined


def either(names: set[str] | None, others: set[str] | None) -> set[str] | None:
    """Returns the names of two sources; None if those of one are not known."""
    return None if names is None or others is None else names | others


def _label(source: Source, key: str) -> str:
    return next(label for place, label in source.origins.items() if place.split('.', 1)[0] == key)
