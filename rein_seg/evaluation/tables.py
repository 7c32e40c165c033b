"""Plain-text tables of a metric's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def domain_table(report: Mapping[str, Any]) -> str:
    """Returns a row for each domain, the source first, and a row for the mean over targets.

    Args:
        report: From `DomainMetric.report`. The columns are the scores of its mean.

    Example:
        >>> from rein_seg.evaluation import domain_table
        >>> print(domain_table(dict(
        ...     protocol='rein512', source=None, targets=['acdc'],
        ...     domains=dict(acdc=dict(images=2, mIoU=61.5)),
        ...     mean_over_targets=dict(mIoU=61.5),
        ... )))
        protocol rein512, scores in %
        domain     role  images   mIoU
        ------------------------------
        acdc     target       2  61.50
        ------------------------------
        mean    targets       2  61.50
    """
    mean = report['mean_over_targets']

    def cells(scores: Mapping[str, Any]) -> list[str]:
        return [score_text(report, key, scores[key]) for key in mean]

    rows = []
    for name, scores in report['domains'].items():
        role = 'source' if name == report['source'] else 'other'
        role = 'target' if name in report['targets'] else role
        rows.append((name, role, str(scores['images']), *cells(scores)))
    averaged = any(value is not None for value in mean.values())
    if averaged:
        count = str(sum(report['domains'][name]['images'] for name in report['targets']))
        rows.append(('mean', 'targets', count, *cells(mean)))
    units = ''.join(f', {key} in {u}' for key in mean if (u := unit_of(report, key)) != '%')
    task = f'task {report["task"]}, ' if report.get('task') else ''
    title = f'{task}protocol {protocol_name(report)}, scores in %{units}'
    head = ('domain', 'role', 'images', *mean)
    return title + '\n' + table(head, rows, rule_last=averaged)


def protocol_name(report: Mapping[str, Any]) -> str:
    """Returns the protocol's name, with the deviations from it.

    Example:
        >>> from rein_seg.evaluation.tables import protocol_name
        >>> protocol_name(dict(protocol='rein512', changed=['crop 256']))
        'rein512, changed: crop 256'
    """
    changed = report.get('changed')
    return report['protocol'] + (f', changed: {"; ".join(changed)}' if changed else '')


def protocol_table(reports: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns a row for each protocol: the main score of all domains and of the mean.

    Args:
        reports: Name -> report, all with the same domains.
    """
    first = next(iter(reports.values()))
    key = next(iter(first['mean_over_targets']))
    rows = []
    for name, report in reports.items():
        scores = [report['domains'][domain][key] for domain in first['domains']]
        scores.append(report['mean_over_targets'][key])
        rows.append((name, *(score_text(report, key, score) for score in scores)))
    notes = [
        f'{name}, changed: {"; ".join(report["changed"])}'
        for name, report in reports.items()
        if report.get('changed')
    ]
    lines = table((f'{key} in {unit_of(first, key)}', *first['domains'], 'mean'), rows)
    return '\n'.join((lines, *notes))


def class_table(report: Mapping[str, Any]) -> str:
    """Returns a score (%) of each class (row) in each domain (column); unseen classes are marked.

    The score is the IoU, of whole images the accuracy; a report with neither has an empty table.

    Example:
        >>> from rein_seg.evaluation import class_table
        >>> scores = dict(fog=dict(IoU=dict(road=90.0, bus=4.5)))
        >>> print(class_table(dict(domains=scores, unseen=['bus'])))
        IoU             fog
        -------------------
        road          90.00
        bus (unseen)   4.50
    """
    domains = list(report['domains'])
    first = next(iter(report['domains'].values()))
    score = next((key for key in ('IoU', 'accuracy') if key in first), None)
    if score is None:
        return ''
    classes = list(first[score])
    unseen = report.get('unseen', ())
    rows = [
        (
            f'{name} (unseen)' if name in unseen else name,
            *(
                score_text(report, score, report['domains'][domain][score][name])
                for domain in domains
            ),
        )
        for name in classes
    ]
    return table((score, *domains), rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, rule_last: bool = False) -> str:
    """Aligns text cells: the first column to the left, the others to the right.

    Args:
        head: Titles of the columns.
        rows: Cells of each row.
        rule_last: Draws a line above the last row.

    Example:
        >>> from rein_seg.evaluation.tables import table
        >>> print(table(('class', 'IoU'), [('road', '97.10'), ('car', '8.00')]))
        class    IoU
        ------------
        road   97.10
        car     8.00
    """
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


def unit_of(report: Mapping[str, Any], key: str) -> str:
    """Returns the unit of a column: ``%``, ``0..1``, or the unit of a distance.

    Args:
        report: Says which columns are ``fractions`` and the ``units`` of distances.
        key: The column.

    Example:
        >>> from rein_seg.evaluation.tables import unit_of
        >>> unit_of(dict(units=dict(HD95='voxels')), 'HD95'), unit_of({}, 'mIoU')
        ('voxels', '%')
    """
    if key in report.get('fractions', ()):
        return '0..1'
    return report.get('units', {}).get(key, '%')


def score_text(report: Mapping[str, Any], key: str, value: float | None) -> str:
    """Returns a score as text: two decimals of a percentage, four of a fraction, - for none.

    Args:
        report: Says which columns are ``fractions``.
        key: Column of the score.
        value: The score, or None.

    Example:
        >>> from rein_seg.evaluation import score_text
        >>> score_text(dict(fractions=['MAE']), 'MAE', 0.03), score_text({}, 'mIoU', None)
        ('0.0300', '-')
    """
    if value is None or value != value:
        return '-'
    return f'{value:.4f}' if key in report.get('fractions', ()) else f'{value:.2f}'
