"""A comparison as text, markdown and csv; `WRITERS` names the files."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rein_seg.checkpoint import atomic_path, write_json
from rein_seg.compare.page import page
from rein_seg.compare.picture import picture
from rein_seg.evaluation.tables import table

Comparison = Mapping[str, Any]
Table = tuple[Sequence[str], list[Sequence[str]]]

_DECIMALS = {'0..1': 4}  # the same precision as two decimals of a percentage
_COUNTS = {'method': 'method', 'head': 'neck_and_head'}


def text_tables(comparison: Comparison) -> str:
    """Returns the tables as plain text, for a terminal."""
    return _document(comparison, table)


def markdown(comparison: Comparison) -> str:
    """Returns the tables as markdown."""

    def render(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
        lines = [head, ('---', *['---:'] * (len(head) - 1)), *rows]
        return '\n'.join(f'| {" | ".join(line)} |' for line in lines)

    return _document(comparison, render)


def _document(
    comparison: Comparison, render: Callable[[Sequence[str], list[Sequence[str]]], str]
) -> str:
    paragraphs = [
        *score_paragraphs(comparison, render),
        'What it costs (trainable parameters; means; encoder: its forward time over the frozen '
        "encoder's; merged: with the method merged into weights, no: it cannot be):",
        render(*cost_table(comparison)),
    ]
    return '\n\n'.join([*paragraphs, *(f'Note: {note}.' for note in comparison['notes'])]) + '\n'


def score_paragraphs(
    comparison: Comparison, render: Callable[[Sequence[str], list[Sequence[str]]], str] = table
) -> list[str]:
    """Returns the benchmark's name, then a title and a table for each shown metric."""
    paragraphs = [f'Benchmark {comparison["benchmark"]}, protocol {comparison["protocol"]}.']
    for task, one in _each_task(comparison):
        paragraphs += [f'Task {task}.'] if task else []
        for metric in one['shown'] if one['metrics'] else []:
            paragraphs += [_title(metric, one), render(*score_table(one, metric))]
    return paragraphs


def _each_task(comparison: Comparison) -> list[tuple[str | None, Comparison]]:
    return [(comparison.get('task'), comparison), *(comparison.get('tasks') or {}).items()]


def _title(metric: str, comparison: Comparison) -> str:
    about = comparison['metrics'][metric]
    return (
        f'{metric} in {about["unit"]} ({about["better"]} is better), mean±sample std over seeds; '
        'gap: what is lost from source to targets; runs: finished / asked for'
    )


def score_table(comparison: Comparison, metric: str) -> Table:
    """Returns head and rows: a variant with parameters, source, targets, gap, every target."""
    targets = comparison['targets'] or []
    source = comparison['source']
    others = [d for d in _domains(comparison, metric) if d not in targets and d != source]
    head = ('variant', 'runs', 'method', 'head', 'source', 'targets', 'gap', *targets, *others)
    rows = []
    for variant in comparison['variants']:
        scores = variant['scores'][metric]
        single = [scores[key] for key in ('source', 'mean_over_targets', 'gap')]
        each = [scores['domains'].get(domain) for domain in (*targets, *others)]
        cells = [_statistic(s, decimals(comparison, metric)) for s in (*single, *each)]
        rows.append((variant['name'], _runs(variant), *_parameters(variant), *cells))
    return head, rows


def cost_table(comparison: Comparison) -> Table:
    """Returns head and rows: a variant with parameters, time, memory, adapter size, inference."""
    head = (
        'variant',
        'runs',
        'method',
        'head',
        's / iteration',
        'min / run',
        'peak MiB',
        'adapter',
        'ms / image',
        'ms merged',
        'encoder',
        'encoder merged',
    )
    rows = []
    for variant in comparison['variants']:
        costs = {key: value['mean'] for key, value in variant['costs'].items()}
        minutes = None if costs['wall_seconds'] is None else costs['wall_seconds'] / 60
        cells = (
            _number(costs['seconds_per_iteration'], 3),
            _number(minutes, 1),
            _number(costs['peak_memory_mib'], 0),
            file_size(costs['adapter_bytes']),
            _number(costs['inference_ms'], 1),
            _merged(variant, 'inference_ms_merged', '{:.1f}'),
            _ratio(costs['encoder_ratio']),
            _merged(variant, 'encoder_ratio_merged', '{:.2f}x'),
        )
        rows.append((variant['name'], _runs(variant), *_parameters(variant), *cells))
    return head, rows


def csv_table(comparison: Comparison) -> str:
    """Returns csv: a line a variant, all shown metrics and costs with mean and std, unrounded."""
    lines = [dict(_csv_cells(variant, comparison)) for variant in comparison['variants']]
    # variants may have different columns; a dict keeps the order of their first occurrence
    names = list(dict.fromkeys(name for line in lines for name in line))
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator='\n')
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue()


def _csv_cells(variant: Mapping[str, Any], comparison: Comparison) -> Iterator[tuple[str, Any]]:
    yield 'variant', variant['name']
    yield 'config', variant['config']
    yield 'encoder', (variant['encoder'] or {}).get('name')
    yield 'runs', variant['runs']
    yield 'finished', variant['finished']
    yield 'failed', variant['failed']
    for name, key in {**_COUNTS, 'frozen': 'frozen'}.items():
        yield f'{name} parameters', (variant['parameters'] or {}).get(key)
    yield from _csv_scores(variant['scores'], comparison, '')
    for task, one in (comparison.get('tasks') or {}).items():
        own = next(row for row in one['variants'] if row['name'] == variant['name'])
        yield from _csv_scores(own['scores'], one, f'{task} ')
    for name, value in variant['costs'].items():
        yield name, value['mean']
        yield f'{name} std', value['std']
    yield 'not mergeable', variant['not_mergeable']


def _csv_scores(
    scores_by_metric: Mapping[str, Any], comparison: Comparison, before: str
) -> Iterator[tuple[str, Any]]:
    for metric in comparison['shown']:
        scores = scores_by_metric.get(metric, {})
        single = ('source', 'mean_over_targets', 'gap')
        parts = {key: scores[key] for key in single if key in scores} | scores.get('domains', {})
        for name, value in parts.items():
            yield f'{before}{metric} {name}', value['mean']
            yield f'{before}{metric} {name} std', value['std']


# file -> its content; the files are written again each time a run ends
WRITERS: dict[str, Callable[[Comparison], str]] = {
    'comparison.md': markdown,
    'comparison.csv': csv_table,
    'comparison.html': page,
}


def write_comparison(folder: str | os.PathLike, comparison: Comparison) -> None:
    """Writes ``comparison.json``, ``.png`` and the files of `WRITERS`, each atomically."""
    write_json(Path(folder) / 'comparison.json', comparison)
    for name, writer in WRITERS.items():
        with atomic_path(Path(folder) / name) as temporary:
            temporary.write_text(writer(comparison), encoding='utf-8')
    with atomic_path(Path(folder) / 'comparison.png') as temporary:
        temporary.write_bytes(picture(comparison))


def decimals(comparison: Comparison, metric: str) -> int:
    """Returns the number of decimals that a score is shown with."""
    return _DECIMALS.get(comparison['metrics'][metric]['unit'], 2)


def file_size(count: float | None) -> str:
    """Returns a number of bytes in the largest binary unit of which there is at least one.

    Example:
        >>> from rein_seg.compare.tables import file_size
        >>> file_size(900), file_size(3_500_000), file_size(None)
        ('900 B', '3.3 MiB', '-')
    """
    if count is None:
        return '-'
    for unit in ('B', 'KiB', 'MiB'):
        if count < 1024:
            return f'{count:.0f} B' if unit == 'B' else f'{count:.1f} {unit}'
        count /= 1024
    return f'{count:.2f} GiB'


def _domains(comparison: Comparison, metric: str) -> list[str]:
    found = [domain for v in comparison['variants'] for domain in v['scores'][metric]['domains']]
    return list(dict.fromkeys(found))


def _runs(variant: Mapping[str, Any]) -> str:
    failed = f', {variant["failed"]} failed' if variant['failed'] else ''
    return f'{variant["finished"]}/{variant["runs"]}{failed}'


def _parameters(variant: Mapping[str, Any]) -> list[str]:
    counts = variant['parameters']
    return [f'{counts[key]:,}' if counts else '-' for key in _COUNTS.values()]


def _statistic(value: Mapping[str, Any] | None, decimals: int) -> str:
    if value is None or value['mean'] is None:
        return '-'
    spread = '' if value['std'] is None else f'±{value["std"]:.{decimals}f}'
    return f'{value["mean"]:.{decimals}f}{spread}'


def _number(value: float | None, decimals: int) -> str:
    return '-' if value is None else f'{value:.{decimals}f}'


def _ratio(value: float | None) -> str:
    return '-' if value is None else f'{value:.2f}x'


def _merged(variant: Mapping[str, Any], key: str, form: str) -> str:
    value = variant['costs'][key]['mean']
    if value is None:
        return 'no' if variant['not_mergeable'] else '-'
    return form.format(value)
