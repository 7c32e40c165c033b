"""The page of one run: scores, curves, classes, confusions, images, calibration, costs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rein_seg.pages.page import html_page

SCRIPTS = ('scores.js', 'curves.js', 'confusion.js', 'calibration.js', 'images.js', 'main.js')


def report_page(results: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """Returns the page.

    Args:
        results: Content of ``results.json``.
        report: Content of ``report.json``; empty for a run that an earlier version made.

    Example:
        >>> from rein_seg.pages.run_report import report_page
        >>> text = report_page({'config': 'mine.py', 'method': {'type': 'LoRA'}, 'domains': {}}, {})
        >>> '<title>mine: LoRA</title>' in text, '<script src' in text  # all scripts are inside
        (True, False)
    """
    shown = {key: value for key, value in results.items() if key != 'protocols'}
    data = {'results': shown, 'report': dict(report)}
    return html_page(
        title_of(results), data, package=__package__, scripts=SCRIPTS, style='report.css'
    )


def title_of(results: Mapping[str, Any]) -> str:
    """Returns the name of a run: its config and its method.

    Args:
        results: Content of ``results.json``.
    """
    config = Path(results.get('config') or 'run').stem
    method = (results.get('method') or {}).get('type')
    return f'{config}: {method}' if method else config
