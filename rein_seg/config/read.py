"""Reads a config file with its bases, and who sets each value.

As in mmengine: the bases first, then the file over them. A benchmark is inserted at the place of
its name: later files and options change parts of it like parts of any base.
"""

from __future__ import annotations

import ast
import json
import os
import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config, ConfigDict
from mmengine.config.config import RESERVED_KEYS

from rein_seg.config.builtin import find_benchmark
from rein_seg.config.find import CONFIGS, find_config
from rein_seg.config.origins import Origins, inside, leaves
from rein_seg.config.schedule import reach_length
from rein_seg.errors import UserError

_BASE, _BENCHMARK = '_base_', 'benchmark'
# keys of a benchmark's definition: another benchmark replaces all of them
_OF_A_BENCHMARK = (
    _BENCHMARK, 'protocol', 'data_root', 'epochs', 'expected_images', 'train_dataloader',
    'val_dataloader', 'test_dataloader', 'val_evaluator', 'test_evaluator',
)  # fmt: skip
_NEW_STYLE = (ast.Import, ast.ImportFrom, ast.With)  # mmengine's: bases by import
_MOST_VALUES = 100_000  # of a JSON or YAML config; a shipped config has hundreds
_MARK = re.compile(r"""\{\{\s*([^{}'"]+?)\s*\}\}""")


@dataclass
class Source:
    """The content of config files.

    Attributes:
        content: With all bases.
        origins: Dotted key of each value -> the file or the benchmark that sets it.
        text: Of all files.
    """

    content: ConfigDict = field(default_factory=ConfigDict)
    origins: Origins = field(default_factory=dict)
    text: str = ''


def read(path: str) -> Source:
    """Reads a config file.

    Raises:
        UserError: If the file or a base is missing or has an error, two bases define one name, or
            the benchmark is unknown.

    Example:
        >>> from rein_seg.config.read import read
        >>> source = read('rein_tiny_miniscapes')
        >>> source.content.model.backbone.peft, source.origins['train_dataloader.batch_size']
        ({'type': 'Rein'}, 'benchmark miniscapes')
    """
    file = Path(find_config(path))
    text = file.read_text(encoding='utf-8')
    try:
        if file.suffix != '.py':
            return _read_data(file, text, str(path))
        tree = ast.parse(_MARK.sub(lambda mark: _substitute(mark, file), text), str(file))
        bases = _take_bases(tree)
        if bases is None and any(isinstance(one, _NEW_STYLE) for one in tree.body):
            return _whole(Config.fromfile(file), str(path))
        base = _join([_read_base(base, file) for base in bases or ()], path)
        names: dict[str, Any] = {_BASE: base.content}
        exec(compile(tree, str(file), 'exec'), names)
        own = {key: value for key, value in names.items() if _is_content(key, value)}
        for key in sorted(own.keys() & set(RESERVED_KEYS)):
            raise UserError(f'config {path!r}: the name {key!r} is reserved by mmengine: rename it')
        done = lay_over(base, own, str(path))
    except UserError:
        raise
    except Exception as error:
        raise UserError(f'config {path!r}{_line(error, file)}: {error!r}: correct it') from error
    done.text = '\n'.join(filter(None, [base.text, f'{file.resolve()}\n{text}']))
    return done


def _read_data(file: Path, text: str, path: str) -> Source:
    """Reads JSON or YAML, which hold data alone: nothing in them, or in a base of theirs, runs."""
    if _MARK.search(text):
        raise UserError(
            f'config {path!r} has {{{{...}}}}, which a Python config alone may have: give the '
            'value, or write the config in Python'
        )
    content = json.loads(text) if file.suffix == '.json' else yaml.safe_load(text)
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise UserError(f'config {path!r} holds no names with values: expected name: value')
    if 'custom_imports' in content:
        raise UserError(
            f'config {path!r}: custom_imports runs code, which a {file.suffix} file may not: write '
            'the config in Python'
        )
    _check_size(content, path)
    bases = content.pop(_BASE, [])
    found = [_data_base(base, file) for base in ([bases] if isinstance(bases, str) else bases)]
    done = lay_over(_join(found, path), content, path)
    done.text = '\n'.join(filter(None, [done.text, f'{file.resolve()}\n{text}']))
    return done


def _data_base(base: str, file: Path) -> Source:
    """Reads a base of JSON or YAML: a shipped config, or data again."""
    for shipped in (CONFIGS / base, CONFIGS / f'{base}.py'):
        if shipped.is_file() and shipped.resolve().is_relative_to(CONFIGS.resolve()):
            return read(str(shipped))
    beside = file.parent / base
    if beside.suffix in ('.json', '.yaml', '.yml'):
        return read(str(beside))
    raise UserError(
        f'config {str(file)!r}: its base {base!r} is no shipped config and no JSON or YAML, and '
        f'a {file.suffix} file may not run code: write the config in Python'
    )


def _check_size(content: Any, path: str) -> None:
    """Counts values, each as often as it is named: a name for a part that names itself has no end.

    Raises:
        UserError: If there are too many.
    """
    rest, count = [content], 0
    while rest:
        part = rest.pop()
        count += 1
        if count > _MOST_VALUES:
            raise UserError(
                f'config {path!r} has more than {_MOST_VALUES} values, names of parts (&, *) '
                'counted as often as they are named: write it without them'
            )
        rest += part.values() if isinstance(part, dict) else part if isinstance(part, list) else []


def lay_over(base: Source, own: Mapping[str, Any], label: str) -> Source:
    """Returns ``base`` with ``own`` merged over it.

    Args:
        base: Content so far.
        own: Further content; ``_delete_=True`` in a dict replaces the dict below.
        label: Author of ``own``.
    """
    own = dict(own)
    if isinstance(own.get(_BENCHMARK), str):
        base = _with_benchmark(base, own.pop(_BENCHMARK))
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
    return Source(content, {key: origins[key] for key in values}, base.text)


def _with_benchmark(base: Source, name: str) -> Source:
    definition = find_benchmark(name)
    below = base.content
    if _BENCHMARK in below:
        below = ConfigDict({k: v for k, v in below.items() if k not in _OF_A_BENCHMARK})
    return lay_over(
        Source(below, base.origins, base.text), definition.content(), f'benchmark {name}'
    )


def _unshared(value: Any) -> Any:
    """Copies dicts and lists: merging takes ``_delete_`` out, of two names for one dict as well."""
    if isinstance(value, Mapping):
        return {key: _unshared(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([_unshared(part) for part in value])
    return value


def _nodes(content: Any, place: str = '') -> Any:
    """Yields identity and dotted key of every part that is a dict or a list of dicts."""
    for key, part in inside(content):
        here = f'{place}.{key}' if place else str(key)
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


def _substitute(mark: re.Match[str], file: Path) -> str:
    """Returns the Python, or the text, for ``{{...}}`` of a config file."""
    words = mark[1]
    if words.startswith(f'{_BASE}.'):
        first, *keys = words.split('.')
        return first + ''.join(f'[{key}]' if key.isdigit() else f'.{key}' for key in keys)
    if words.startswith('$'):
        name, _, default = words[1:].partition(':')
        return os.environ.get(name, default)
    known = {
        'fileDirname': str(file.resolve().parent),
        'fileBasename': file.name,
        'fileBasenameNoExtension': file.stem,
        'fileExtname': file.suffix,
    }
    return known.get(words, mark[0])


def _take_bases(tree: ast.Module) -> list[str] | None:
    """Takes ``_base_ = ...`` out of a file and returns its paths, None where there is none."""
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == _BASE:
            tree.body.remove(statement)
            said = ast.literal_eval(statement.value)
            return [said] if isinstance(said, str) else list(said)
    return None


def _read_base(base: str, file: Path) -> Source:
    """Reads a base: a file beside the config, else a shipped config."""
    beside = os.path.normpath(file.parent / base)
    return read(beside if base.startswith('.') or Path(beside).is_file() else base)


def _whole(cfg: Config, label: str) -> Source:
    return lay_over(Source(text=cfg.text), cfg.to_dict(), label)


def _join(bases: Sequence[Source], path: str) -> Source:
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
        joined.text = '\n'.join(filter(None, [joined.text, base.text]))
    return joined


def _label(source: Source, key: str) -> str:
    return next(label for place, label in source.origins.items() if place.split('.', 1)[0] == key)


def _is_content(key: str, value: Any) -> bool:
    return not (
        key.startswith('__')
        or key == _BASE
        or isinstance(value, (types.FunctionType, types.ModuleType))
    )


def _line(error: Exception, file: Path) -> str:
    """Returns the line of the file with the error."""
    if isinstance(error, SyntaxError):
        return f', line {error.lineno}'
    trace, lines = error.__traceback__, []
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return f', line {lines[-1]}' if lines else ''
