"""A comparison as one HTML page that opens from disk: style, scripts and data are inside.

The parts lie in ``template/``; the scripts make every element from data, so that no name in the
data is ever read as markup.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

SCRIPTS = ('basics.js', 'axes.js', 'figures.js', 'tables.js', 'classes.js', 'main.js')
# these signs could end the element that holds the data, or a line of a script
_ESCAPES = {ord(sign): f'\\u{ord(sign):04x}' for sign in '<>&\u2028\u2029'}


def page(comparison: Mapping[str, Any]) -> str:
    """Returns the page.

    Args:
        comparison: Content of ``comparison.json``.

    Example:
        >>> from rein_seg.compare import build_comparison
        >>> from rein_seg.compare.page import page
        >>> text = page(build_comparison([]))
        >>> text[:15], '<script src' in text  # all scripts are inside
        ('<!DOCTYPE html>', False)
    """
    parts = {
        'title': html.escape(f'{comparison["benchmark"] or "Comparison"}: methods compared'),
        'style': _template('page.css'),
        'data': embed(comparison),
        'script': '\n'.join(_template(name) for name in SCRIPTS),
    }
    # in one pass, so that inserted text is not searched for placeholders
    return re.sub(r'\[\[(\w+)\]\]', lambda found: parts[found[1]], _template('page.html'))


def embed(value: Any) -> str:
    r"""Returns JSON that a script element can hold; NaN and infinity become null.

    Example:
        >>> from rein_seg.compare.page import embed
        >>> print(embed({'name': '</script>', 'loss': float('nan')}))
        {"name":"\u003c/script\u003e","loss":null}
    """
    text = json.dumps(_finite(value), allow_nan=False, ensure_ascii=False, separators=(',', ':'))
    return text.translate(_ESCAPES)


# JSON has no NaN: browsers refuse to parse it
def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return value


def _template(name: str) -> str:
    return (files(__package__) / 'template' / name).read_text(encoding='utf-8').rstrip()
