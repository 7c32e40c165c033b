"""The figures of `benchmark_heads` as Markdown tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_COLUMNS = ('head', 's', 'ratio (range)', 'GFLOP', 'floor s', 'times the floor')
_MEMORY = ('step MiB', 'ratio', 'process MiB')
_NONE = '-'


def heads_tables(figures: Mapping[str, Any]) -> str:
    """Returns a table for each config and work, and a line on the machine."""
    settings, environment = figures['settings'], figures['environment']
    blocks = [
        f'Windows of {settings["size"]}x{settings["size"]}, batch 1, float32, random weights, '
        f'{settings["device"]}, {environment["threads"]} threads, load '
        f'{environment["load"][0]:.1f} on {environment["cores"]} cores; medians of '
        f"{settings['repeats']} rounds in turn, the ratio is the median of the rounds' ratios."
    ]
    for config, works in figures['configs'].items():
        for work, one in works.items():
            title = (
                f'{Path(config).stem}, {work} (matrix products {one["gflop_per_s"]:.0f} GFLOP/s)'
            )
            blocks.append(f'{title}:\n\n{_table(one["heads"])}')
    return '\n\n'.join(blocks)


def _table(heads: Mapping[str, Any]) -> str:
    with_memory = any('step_mib' in one for one in heads.values())
    rows: list[Sequence[str]] = [(*_COLUMNS, *(_MEMORY if with_memory else ()))]
    rows.append(['---'] * len(rows[0]))
    for name, one in heads.items():
        low, high = one['time_ratio_range']
        cells = [
            name,
            f'{one["seconds"]:.3f}',
            f'{one["time_ratio"]:.2f} ({low:.2f} to {high:.2f})',
            f'{one["gflop"]:.1f}',
            f'{one["floor_s"]:.3f}',
            f'{one["times_floor"]:.2f}',
        ]
        if with_memory:
            cells += [
                _number(one.get('step_mib'), '.0f'),
                _number(one.get('memory_ratio'), '.2f'),
                _number(one.get('process_mib'), '.0f'),
            ]
        rows.append(cells)
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def _number(value: float | None, form: str) -> str:
    return _NONE if value is None else format(value, form)
