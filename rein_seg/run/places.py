"""Texts of configs without the places of one machine, for files that people share."""

from __future__ import annotations

import ast
import io
import os
import re
import tokenize

_ABSOLUTE = re.compile(r'([a-z0-9+]+:/{2})?(?:[/~]|[A-Za-z]:[\\/]|\\\\).*', re.DOTALL)


def without_places(text: str) -> str:
    """Returns a config's text with a neutral path in place of each absolute path.

    A path below the working folder becomes relative to it; of any other path the last part stays.

    Args:
        text: Python, as ``Config.pretty_text`` gives it.

    Example:
        >>> from rein_seg.run.places import without_places
        >>> without_places("data_root = '/home/ann/data/gtav'  # where it is")
        "data_root = 'gtav'  # where it is"
    """
    lines = text.splitlines(keepends=True)
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    for token in reversed(tokens):  # from the end: places of earlier tokens stay
        (row, begin), (last, end) = token.start, token.end
        if token.type != tokenize.STRING or row != last:
            continue
        value = ast.literal_eval(token.string)
        if isinstance(value, str) and _ABSOLUTE.fullmatch(value):
            line = lines[row - 1]
            lines[row - 1] = line[:begin] + repr(neutral_path(value)) + line[end:]
    return ''.join(lines)


def neutral_path(path: str) -> str:
    """Returns a path that says nothing of the machine it is on.

    Example:
        >>> import os
        >>> from rein_seg.run.places import neutral_path
        >>> neutral_path('/home/ann/weights/dinov2.pth'), neutral_path('data/gtav')
        ('dinov2.pth', 'data/gtav')
        >>> neutral_path(os.path.abspath('data/gtav'))
        'data/gtav'
    """
    found = _ABSOLUTE.fullmatch(path)
    if found is None:
        return path
    scheme = found[1] or ''
    place = path[len(scheme) :]
    here = os.getcwd()
    if place.startswith(here + os.sep):
        return scheme + os.path.relpath(place, here)
    parts = [part for part in re.split(r'[\\/]', place) if part]
    return scheme + (parts[-1].lstrip('~') if parts else '')
