"""HTML pages that open from disk: style, scripts and data are inside of the file.

The parts lie in ``template/``; scripts make every element from data, so that no name in the data is
ever read as markup.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

SCRIPTS = ('dom.js', 'axes.js', 'draw.js', 'table.js', 'tips.js')
# these signs could end the element that holds the data, or a line of a script
_ESCAPES = {ord(sign): f'\\u{ord(sign):04x}' for sign in '<>&\u2028\u2029'}


def html_page(
    title: str, data: Any, *, package: str, scripts: Sequence[str], style: str | None = None
) -> str:
    """Returns a page.

    Args:
        title: Of the page, and its first heading.
        data: What JSON can hold; scripts find it as ``data``.
        package: Package whose ``template/`` holds ``body.html``, the scripts and the style.
        scripts: Names of scripts, in their order, after the shared `SCRIPTS`.
        style: Name of a style sheet after the shared style.

    Example:
        >>> from rein_seg.pages.page import html_page
        >>> page = html_page('Mine', {}, package='rein_seg.compare', scripts=['main.js'])
        >>> page[:15], '<title>Mine</title>' in page
        ('<!DOCTYPE html>', True)
    """
    heading = html.escape(title)
    styles = [template(__package__, 'page.css'), *([template(package, style)] if style else [])]
    parts = {
        'title': heading,
        'style': '\n'.join(styles),
        'body': template(package, 'body.html').replace('[[title]]', heading),
        'data': embed(data),
        'script': '\n'.join(
            [template(__package__, name) for name in SCRIPTS]
            + [template(package, name) for name in scripts]
        ),
    }
    # in one pass, so that inserted text is not searched for placeholders
    frame = template(__package__, 'page.html')
    return re.sub(r'\[\[(\w+)\]\]', lambda found: parts[found[1]], frame)


def embed(value: Any) -> str:
    r"""Returns JSON that a script element can hold; NaN and infinity become null.

    Example:
        >>> from rein_seg.pages.page import embed
        >>> print(embed({'name': '</script>', 'loss': float('nan')}))
        {"name":"\u003c/script\u003e","loss":null}
    """
    text = json.dumps(finite(value), allow_nan=False, ensure_ascii=False, separators=(',', ':'))
    return text.translate(_ESCAPES)


def finite(value: Any) -> Any:
    """Returns JSON data with None for NaN and infinity, which browsers refuse to parse.

    Example:
        >>> from rein_seg.pages.page import finite
        >>> finite([1.5, float('inf')])
        [1.5, None]
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(part) for part in value]
    return value


def template(package: str, name: str) -> str:
    """Returns the text of a file in the ``template`` folder of a package."""
    return (files(package) / 'template' / name).read_text(encoding='utf-8').rstrip()
