"""Draws a comparison: the score of each variant on the source and on unseen domains."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

_TARGETS, _SOURCE = '#1f6f54', '#b07a2a'


def picture(comparison: Mapping[str, Any]) -> bytes:
    """Returns a PNG: a row for each variant, the best on the targets on top.

    Dots are means over seeds, bars one sample standard deviation to each side, the line between
    source and targets is the gap. Only the first shown metric is drawn; variants without a value
    are left out.

    Args:
        comparison: As `rein_seg.compare.build_comparison` returns it.

    Example:
        >>> from rein_seg.compare import build_comparison
        >>> from rein_seg.compare.picture import picture
        >>> picture(build_comparison([]))[1:4]
        b'PNG'
    """
    # imported here: matplotlib takes a second that most commands do not need
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    metric = next(iter(comparison['shown']), None)
    rows = _rows(comparison, metric)
    figure = Figure(figsize=(7.5, 1.3 + 0.32 * len(rows)), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for place, (_, source, targets) in enumerate(rows):
        if source['mean'] is not None:
            ends = (source['mean'], targets['mean'])
            axes.plot(ends, (place, place), color='0.8', linewidth=1, zorder=1)
        for value, colour, face in ((source, _SOURCE, 'white'), (targets, _TARGETS, _TARGETS)):
            if value['mean'] is not None:
                axes.errorbar(
                    value['mean'], place, xerr=value['std'] or 0.0, fmt='o', color=colour,
                    markerfacecolor=face, markersize=6, capsize=2, linewidth=1.2,
                )  # fmt: skip
    axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)  # the first row on top
    axes.grid(axis='x', color='0.92')
    axes.set_axisbelow(True)
    axes.spines[['top', 'right', 'left']].set_visible(False)
    axes.tick_params(axis='y', length=0)
    axes.set_title(f'{comparison["benchmark"]}, {comparison["protocol"]}', fontsize=10, loc='left')
    if metric is not None:
        unit = comparison['metrics'].get(metric, {}).get('unit', '')
        axes.set_xlabel(
            f'{metric}, {unit}: filled: mean over unseen targets; hollow: source '
            f'({comparison["source"]})',
            fontsize=9,
        )
    out = io.BytesIO()
    # without the version of matplotlib the same comparison gives the same bytes
    figure.savefig(out, format='png', dpi=130, metadata={'Software': None})
    return out.getvalue()


def _rows(comparison: Mapping[str, Any], metric: str | None) -> list[tuple[str, dict, dict]]:
    """(label, source, targets) of each variant that has a mean over targets, the best first."""
    rows = []
    for variant in comparison['variants']:
        scores = variant['scores'].get(metric, {})
        if scores and scores['mean_over_targets']['mean'] is not None:
            counts = variant['parameters'] or {}
            label = f'{variant["name"]} ({_short(counts.get("method"))})'
            rows.append((label, scores['source'], scores['mean_over_targets']))
    better = comparison['metrics'].get(metric, {}).get('better')
    return sorted(rows, key=lambda row: row[2]['mean'], reverse=better != 'lower')


def _short(count: int | None) -> str:
    if count is None:
        return '-'
    for size, unit in ((10**6, 'M'), (10**3, 'k')):
        if count >= size:
            return f'{count / size:.2g}{unit}' if count < 10 * size else f'{count / size:.0f}{unit}'
    return str(count)
