"""Reads the config that a weights file holds as text, without running it."""

from __future__ import annotations

import ast
import math
from typing import Any

from mmengine.config import Config

from rein_seg.errors import UserError

_MOST_CHARACTERS = 2**22  # the text of a shipped config has 10,000


def read_stored(text: str, place: str) -> Config:
    """Returns the config of a text such as ``Config.pretty_text`` gives.

    The text may come from anybody. It is parsed, never executed: names with values are read, and
    calls of ``dict`` and ``float``; anything else is an error.

    Args:
        text: Python.
        place: Of the text, for messages.

    Raises:
        UserError: If it is no Python, or holds more than values.

    Example:
        >>> from rein_seg.config.stored import read_stored
        >>> read_stored("model = dict(type='A', lr=-1e-3)", 'a.safetensors').model
        {'type': 'A', 'lr': -0.001}
        >>> read_stored("import os", 'a.safetensors')
        Traceback (most recent call last):
        rein_seg.errors.UserError: the config in a.safetensors, line 1: expected names with plain
        values, not Import: it is not run; get the file again from its source
    """
    if len(text) > _MOST_CHARACTERS:
        raise UserError(
            f'the config in {place} has {len(text)} characters: expected at most '
            f'{_MOST_CHARACTERS}; get the file again from its source'
        )
    content: dict[str, Any] = {}
    try:
        for node in ast.parse(text).body:
            if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
                raise _NotPlain(node)
            content[node.targets[0].id] = _value(node.value)
    except _NotPlain as error:
        raise UserError(
            f'the config in {place}, line {getattr(error.node, "lineno", "?")}: expected names '
            f'with plain values, not {type(error.node).__name__}: it is not run; get the file '
            'again from its source'
        ) from None
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise UserError(
            f'the config in {place} cannot be read ({type(error).__name__}): expected the text of '
            'a config; get the file again from its source'
        ) from error
    return Config(content, format_python_code=False)


class _NotPlain(Exception):
    def __init__(self, node: ast.AST) -> None:
        self.node = node


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        kinds = {ast.List: list, ast.Tuple: tuple, ast.Set: set}
        return kinds[type(node)](_value(one) for one in node.elts)
    if isinstance(node, ast.Dict) and None not in node.keys:
        pairs = zip(node.keys, node.values, strict=True)
        return {_value(key): _value(value) for key, value in pairs if key is not None}
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        number = _value(node.operand)
        if isinstance(number, (int, float)):
            return -number if isinstance(node.op, ast.USub) else number
    if isinstance(node, ast.Name) and node.id in ('inf', 'nan'):  # as repr writes them
        return getattr(math, node.id)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _called(node, node.func.id)
    raise _NotPlain(node)


def _called(node: ast.Call, name: str) -> Any:
    if name == 'dict' and not node.args and all(word.arg for word in node.keywords):
        return {str(word.arg): _value(word.value) for word in node.keywords}
    alone = node.args[0] if len(node.args) == 1 and not node.keywords else None
    if name == 'dict' and isinstance(alone, ast.Dict):  # as mmengine writes keys that are numbers
        return _value(alone)
    if name == 'float' and alone is not None:
        return float(_value(alone))
    if name == 'set' and not node.args and not node.keywords:
        return set()
    raise _NotPlain(node)
