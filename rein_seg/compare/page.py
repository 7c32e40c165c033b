"""A comparison as one HTML page that opens from disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rein_seg.pages.page import html_page

SCRIPTS = ('variants.js', 'figures.js', 'tables.js', 'classes.js', 'main.js')


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
    title = f'{comparison["benchmark"] or "Comparison"}: methods compared'
    return html_page(title, comparison, package=__package__, scripts=SCRIPTS)
