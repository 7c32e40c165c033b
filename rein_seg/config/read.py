"""Reads a config file with its bases, and who sets each value.

As in mmengine: the bases first, then the file over them. A benchmark is inserted at the place of
its name: later files and options change parts of it like parts of any base.
"""

from __future__ import annotations

import ast
import json
import os
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config
from mmengine.config.config import RESERVED_KEYS

from rein_seg.config.find import CONFIGS, find_config
from rein_seg.config.python_file import (
    BASE,
    MARK,
    line_of,
    listed_bases,
    names_read,
    substitute,
    take_bases,
)
from rein_seg.config.source import Source, either, join, lay_over
from rein_seg.errors import UserError

_NEW_STYLE = (ast.Import, ast.ImportFrom, ast.With)  # mmengine's: bases by import
_MOST_VALUES = 100_000  # of a JSON or YAML config; a shipped config has hundreds
Chain = tuple[str, ...]  # paths: a config, its base, the base's base


@dataclass(frozen=True)
class Generated:
    """The text of a config that no file holds.

    Attributes:
        name: As of a file in the working folder: ``town.py``.
        text: Python.
    """

    name: str
    text: str


def read_generated(config: Generated) -> Source:
    """Reads a config that no file holds, as `read`."""
    return _read_python(Path(config.name), config.text, (config.name,))


def read(path: str, above: Chain = ()) -> Source:
    """Reads a config file.

    Args:
        path: File, or name of a shipped config.
        above: Files that name it as a base, the outermost first.

    Raises:
        UserError: If the file or a base is missing or has an error, two bases define one name, a
            file is a base of itself, or the benchmark is unknown.

    Example:
        >>> from rein_seg.config.read import read
        >>> source = read('rein_tiny_miniscapes')
        >>> source.content.model.backbone.peft, source.origins['train_dataloader.batch_size']
        ({'type': 'Rein'}, 'benchmark miniscapes')
    """
    file = Path(find_config(path))
    chain = (*above, path)
    if file.resolve() in [_resolved(one) for one in above]:
        raise UserError(
            f'config {chain[0]!r}: its bases form a circle: '
            f'{" -> ".join(Path(one).name for one in chain)}; take one of them out of _base_'
        )
    text = _text(file, path)
    try:
        return (_read_python if file.suffix == '.py' else _read_data)(file, text, chain)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(
            f'config {path!r}{line_of(error, file)}: {_reason(error)}: correct it'
        ) from error


def _resolved(name: str) -> Path | None:
    """Returns the place of a config in a chain, None for a generated text."""
    try:
        return Path(find_config(name)).resolve()
    except UserError:
        return None


def _text(file: Path, path: str) -> str:
    try:
        return file.read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise UserError(
            f'config {path!r} is not UTF-8: byte {error.start} is '
            f'{error.object[error.start]:#04x}; save it as UTF-8'
        ) from error


def _reason(error: BaseException) -> str:
    words = ' '.join(str(error.msg if isinstance(error, SyntaxError) else error).split())
    return f'{type(error).__name__}: {words}' if words else type(error).__name__


def _read_python(file: Path, text: str, chain: Chain) -> Source:
    path = str(chain[-1])
    tree = ast.parse(MARK.sub(lambda mark: substitute(mark, file), text), str(file))
    bases = take_bases(tree, path)
    if bases is None and any(isinstance(one, _NEW_STYLE) for one in tree.body):
        whole = Config.fromfile(file)
        return lay_over(Source(text=whole.text, unread=None), whole.to_dict(), path)
    base = join([_read_base(base, file, chain) for base in bases or ()], path)
    names: dict[str, Any] = {BASE: base.content}
    exec(compile(tree, str(file), 'exec'), names)
    own = {key: value for key, value in names.items() if _is_content(key, value)}
    for key in sorted(own.keys() & set(RESERVED_KEYS)):
        raise UserError(f'config {path!r}: the name {key!r} is reserved by mmengine: rename it')
    done = lay_over(base, own, path)
    done.text = '\n'.join(filter(None, [base.text, f'{file.resolve()}\n{text}']))
    pending, used = either(base.unread, set(own)), names_read(tree)
    if pending is None or used is None:
        done.unread = None
    else:
        done.unread, done.variables = pending - used, base.variables | pending & used
    return done


def _read_data(file: Path, text: str, chain: Chain) -> Source:
    """Reads JSON or YAML, which hold data alone: nothing in them, or in a base of theirs, runs."""
    path = str(chain[-1])
    if MARK.search(text):
        raise UserError(
            f'config {path!r} has {{{{...}}}}, which a Python config alone may have: give the '
            'value, or write the config in Python'
        )
    content = json.loads(text) if file.suffix == '.json' else yaml.safe_load(text)
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise UserError(f'config {path!r} holds no names with values: expected name: value')
    if 'classes' in content and 'model' not in content:
        raise UserError(
            f'config {path!r} is a data file, which names classes and folders: give it as --data '
            f'{path}, or as benchmark={path!r} in a config'
        )
    if 'custom_imports' in content:
        raise UserError(
            f'config {path!r}: custom_imports runs code, which a {file.suffix} file may not: write '
            'the config in Python'
        )
    _check_size(content, path)
    bases = listed_bases(content.pop(BASE, []), f'config {path!r}')
    done = lay_over(join([_data_base(base, file, chain) for base in bases], path), content, path)
    done.text = '\n'.join(filter(None, [done.text, f'{file.resolve()}\n{text}']))
    done.unread = either(done.unread, {key.partition('.')[0] for key in content})
    return done


def _data_base(base: str, file: Path, chain: Chain) -> Source:
    """Reads a base of JSON or YAML: a shipped config, or data again."""
    for shipped in (CONFIGS / base, CONFIGS / f'{base}.py'):
        if shipped.is_file() and shipped.resolve().is_relative_to(CONFIGS.resolve()):
            return read(str(shipped), chain)
    beside = file.parent / base
    if beside.suffix in ('.json', '.yaml', '.yml'):
        return read(str(beside), chain)
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


def _read_base(base: str, file: Path, chain: Chain) -> Source:
    """Reads a base: a file beside the config, else a shipped config."""
    beside = os.path.normpath(file.parent / base)
    try:
        found = find_config(beside if base.startswith('.') or Path(beside).is_file() else base)
    except UserError as error:
        raise UserError(f'config {str(file)!r}: its _base_ {base!r}: {error}') from error
    return read(found, chain)


def _is_content(key: str, value: Any) -> bool:
    return not (
        key.startswith('__')
        or key == BASE
        or isinstance(value, (types.FunctionType, types.ModuleType))
    )
