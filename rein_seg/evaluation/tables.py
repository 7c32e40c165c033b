"""Plain-text tables of a metric's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def domain_table(report: Mapping[str, Any]) -> str:
    """Returns one row for each domain, the source first, and the mean over targets.

    Args:
        report: As `DomainIoUMetric.report`; scores in %.
    """
    rows = []
    for name, scores in report['domains'].items():
        role = 'source' if name == report['source'] else 'other'
        role = 'target' if name in report['targets'] else role
        rows.append((name, role, str(scores['images']), _pc(scores['mIoU']), _pc(scores['aAcc'])))
    mean = report['mean_over_targets']
    if mean['mIoU'] is not None:
        count = str(sum(report['domains'][name]['images'] for name in report['targets']))
        rows.append(('mean', 'targets', count, _pc(mean['mIoU']), _pc(mean['aAcc'])))
    title = f'protocol {report["protocol"]}, scores in %'
    return title + '\n' + table(('domain', 'role', 'images', 'mIoU', 'aAcc'), rows, rule_last=True)


def class_table(report: Mapping[str, Any]) -> str:
    """Returns the IoU (%) of each class (row) in each domain (column)."""
    domains = list(report['domains'])
    classes = list(next(iter(report['domains'].values()))['IoU'])
    rows = [
        (name, *(_pc(report['domains'][domain]['IoU'][name]) for domain in domains))
        for name in classes
    ]
    return table(('IoU', *domains), rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, rule_last: bool = False) -> str:
    """Lays out text cells: the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        first, *others = (
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return '  '.join((first, *others)).rstrip()

    rule = '-' * (sum(widths) + 2 * (len(widths) - 1))
    body = [line(row) for row in rows]
    if rule_last and len(body) > 1:
        body.insert(-1, rule)
    return '\n'.join((line(head), rule, *body))


def _pc(value: float | None) -> str:
    return '-' if value is None or value != value else f'{value:.2f}'
