"""The figures of `benchmark_speed` as text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rein_seg.bench.speed.parts import PARTS
from rein_seg.bench.speed.profiling import EXEMPT_KINDS, EXEMPT_PARTS, KINDS

# a part with a larger share of a step is named
MUCH = 0.1
_NONE = '-'


def speed_tables(figures: Mapping[str, Any]) -> str:
    """Returns the tables of all figures."""
    rates = figures['rates']
    blocks = [_heading(figures), _times(figures['targets'])]
    for name, one in figures['targets'].items():
        if 'profile' in one:
            rate = rates[one['dtype']]['gflop_per_s']
            blocks += [f'## {name}', _floor(one), _parts(one, rate), _kinds(one), _much(one)]
    if 'data' in figures:
        step = next(iter(figures['targets'].values()))['seconds']
        blocks.append(_data(figures['data'], step))
    return '\n\n'.join(blocks)


def _heading(figures: Mapping[str, Any]) -> str:
    settings, environment = figures['settings'], figures['environment']
    height, width = settings['size']
    words = [
        settings['mode'],
        f'{height}x{width} (height x width)',
        f'batch {settings["batch"]}',
        settings['device'],
        'compiled' if settings['compile'] else 'eager',
        f'{environment["threads"]} threads',
        'random weights' if settings['random_weights'] else 'pretrained weights',
    ]
    if settings['device'] == 'cpu':
        words.append(f'float32 products by {environment["products"]}')
    lines = [', '.join(words)]
    for dtype, rate in figures['rates'].items():
        low, high = rate['range']
        lines.append(
            f'matrix product {rate["side"]}^3 {dtype}: {rate["gflop_per_s"]:.4g} GFLOP/s '
            f'({low:.4g} to {high:.4g})'
        )
    lines[-1] += f'; load {environment["load"][0]:.1f} on {environment["cores"]} cores'
    return '\n'.join(lines)


def _times(targets: Mapping[str, Any]) -> str:
    rows = [
        ('', 'type', 'median s', 'range', 'images/s', 'ratio', 'range', 'peak MiB', 'to reference')
    ]
    for name, one in targets.items():
        reference = one.get('reference')
        rows.append(
            (
                name,
                one['dtype'],
                f'{one["seconds"]:.3f}',
                _range(one['seconds_range']),
                f'{one["images_per_s"]:.2f}',
                f'{one["time_ratio"]:.3f}',
                _range(one['time_ratio_range']),
                _NONE if one['peak_mib'] is None else f'{one["peak_mib"]:.0f}',
                f'{reference["ratio"]:.2f} (strict {reference["strict"]:.2f})'
                if reference
                else _NONE,
            )
        )
    return _aligned(rows)


def _floor(one: Mapping[str, Any]) -> str:
    rows = [('', 'GFLOP', 'floor s', 's', 'times the floor')]
    for name, group in one['floor'].items():
        numbers = (f'{group["gflop"]:.1f}', f'{group["floor_s"]:.3f}', f'{group["seconds"]:.3f}')
        rows.append((name, *numbers, _NONE if group['ratio'] is None else f'{group["ratio"]:.2f}'))
    return _aligned(rows)


def _parts(one: Mapping[str, Any], rate: float) -> str:
    rows = [('part', 'ms', 'of it backward', 'share', 'GFLOP', 'of it backward', 'floor ms')]
    for part in _in_order(one['profile']['parts']):
        spent = one['profile']['parts'][part]
        flops = one['flops'].get(part, {'forward': 0, 'backward': 0})
        total = (flops['forward'] + flops['backward']) / 1e9
        rows.append(
            (
                part,
                f'{spent["ms"]:.1f}',
                f'{spent["backward_ms"]:.1f}',
                f'{spent["share"]:.1%}',
                f'{total:.2f}',
                f'{flops["backward"] / 1e9:.2f}',
                f'{1000 * total / rate:.1f}',
            )
        )
    idle = one['profile']['idle_ms']
    note = f'\nprofiled step: {one["profile"]["ms"]:.1f} ms'
    return _aligned(rows) + note + ('' if idle is None else f', of it {idle:.1f} ms GPU idle')


def _kinds(one: Mapping[str, Any]) -> str:
    """Returns the ms of each kind of operation in each part."""
    parts = one['profile']['parts']
    kinds = [kind for kind in KINDS if any(kind in each['kinds'] for each in parts.values())]
    rows = [('ms', *kinds)]
    for part in _in_order(parts):
        rows.append((part, *(f'{parts[part]["kinds"].get(kind, 0):.1f}' for kind in kinds)))
    total = [sum(each['kinds'].get(kind, 0) for each in parts.values()) for kind in kinds]
    rows.append(('sum', *(f'{ms:.1f}' for ms in total)))
    return _aligned(rows)


def _much(one: Mapping[str, Any]) -> str:
    profile, outside = one['profile'], one['profile']['outside']
    parts = profile['parts']
    words = []
    for name, share in list(outside.items())[:4]:
        products = parts[name]['kinds'].get('matrix product', 0.0) / profile['ms']
        words.append(f'{name} {share:.1%} (matrix products {products:.1%})')
    largest = ', '.join(words)
    exempt = [f'{p} ({parts[p]["share"]:.1%})' for p in EXEMPT_PARTS if p in parts]
    much = [name for name, share in outside.items() if share > MUCH]
    said = f'above {MUCH:.0%}: {", ".join(much)}' if much else f'none above {MUCH:.0%}'
    return (
        f'shares without {", ".join(exempt)}, and without {" and ".join(EXEMPT_KINDS)} of '
        f'other parts: {largest}; {said}'
    )


def _data(data: Mapping[str, Any], step: float) -> str:
    if 'not_measured' in data:
        return f'data: not measured, {data["not_measured"]}'

    def said(seconds: float) -> str:
        return f'{1000 * seconds:.1f} ms a batch in one process, {seconds / step:.1%} of a step'

    lines = [f'data: {said(data["seconds"])}; the config has {data["workers"]} workers']
    for name, one in data['without'].items():
        ratio = f'{one["ratio"]:.2f} ({_range(one["ratio_range"])})'
        lines.append(f'data, {name}: {said(one["seconds"])}; {ratio} of the time')
    return '\n'.join(lines)


def _in_order(parts: Mapping[str, Any]) -> list[str]:
    return [part for part in PARTS if part in parts]


def _range(pair: Sequence[float]) -> str:
    return f'{pair[0]:.3f} to {pair[1]:.3f}'


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Returns rows as aligned columns: the first to the left, others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return '\n'.join(
        '  '.join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
