"""The text of a config in Python: its bases, its marks, the names that it reads."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path
from typing import Any

from rein_seg.errors import UserError

BASE = '_base_'
MARK = re.compile(r"""\{\{\s*([^{}'"]+?)\s*\}\}""")


def substitute(mark: re.Match[str], file: Path) -> str:
    """Returns the Python, or the text, for ``{{...}}`` of a config file."""
    words = mark[1]
    if words.startswith(f'{BASE}.'):
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


def take_bases(tree: ast.Module, path: str) -> list[str] | None:
    """Takes ``_base_ = ...`` out of a file and returns its paths, None where there is none."""
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == BASE:
            tree.body.remove(statement)
            place = f'config {path!r}, line {statement.lineno}'
            try:
                return listed_bases(ast.literal_eval(statement.value), place)
            except (ValueError, TypeError) as error:
                if isinstance(error, UserError):
                    raise
                raise UserError(
                    f'{place}: _base_={ast.unparse(statement.value)}: expected a path or a list '
                    'of paths, as plain text'
                ) from error
    return None


def listed_bases(said: Any, place: str) -> list[str]:
    """Returns the paths that ``_base_`` names.

    Raises:
        UserError: If it is no path and no list of paths.

    Example:
        >>> from rein_seg.config.python_file import listed_bases
        >>> listed_bases('rein_tiny_miniscapes', 'config x.py')
        ['rein_tiny_miniscapes']
    """
    bases = [said] if isinstance(said, str) else said
    if not isinstance(bases, (list, tuple)) or not all(isinstance(b, str) and b for b in bases):
        raise UserError(
            f'{place}: _base_={said!r}: expected a path or a list of paths, as plain text'
        )
    return list(bases)


def names_read(tree: ast.Module) -> set[str] | None:
    """Returns the names that a file reads, its own or its bases'; None: it may be any.

    Example:
        >>> import ast
        >>> from rein_seg.config.python_file import names_read
        >>> sorted(names_read(ast.parse('a = _base_.b.c + d')) - {'_base_'})
        ['b', 'd']
    """
    loaded = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and _is_load(n)}
    if loaded & {'locals', 'globals', 'vars', 'eval', 'exec'}:
        return None
    parts = [n for n in ast.walk(tree) if isinstance(n, (ast.Attribute, ast.Subscript))]
    of_base = [n for n in parts if isinstance(n.value, ast.Name) and n.value.id == BASE]
    whole = sum(isinstance(n, ast.Name) and n.id == BASE for n in ast.walk(tree))
    if whole > len(of_base):
        return None
    for part in of_base:
        if isinstance(part, ast.Attribute):
            loaded.add(part.attr)
        elif isinstance(part.slice, ast.Constant):
            loaded.add(str(part.slice.value))
        else:
            return None
    return loaded


def _is_load(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Load)


def line_of(error: BaseException, file: Path) -> str:
    """Returns the line of the file with the error."""
    if isinstance(error, SyntaxError):
        return f', line {error.lineno}'
    trace, lines = error.__traceback__, []
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return f', line {lines[-1]}' if lines else ''
