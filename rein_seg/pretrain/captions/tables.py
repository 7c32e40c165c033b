"""Tables of zero-shot scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_COLUMNS = ('mIoU', 'S', 'U', 'hIoU')


def zero_shot_tables(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns markdown tables with a row for each named result of `zero_shot`.

    Example:
        >>> from rein_seg.pretrain.captions.tables import zero_shot_tables
        >>> scores = dict(clear=dict(mIoU=30.0, chance=2.5), fog=dict(mIoU=20.0, chance=2.0))
        >>> result = dict(retrieval=None, domains=scores, target_mean=20.0)
        >>> print(zero_shot_tables({'ours': result}))
        | mIoU | clear | fog | mean of targets |
        |---|---|---|---|
        | ours | 30.0 | 20.0 | 20.0 |
        | chance | 2.5 | 2.0 | - |
    """
    first = next(iter(results.values()))
    tables = [_domains(results, name) for name in _COLUMNS if _has(first, name)]
    if first['retrieval'] is not None:
        tables.append(_retrieval(results))
    return '\n\n'.join(tables)


def _has(result: Mapping[str, Any], name: str) -> bool:
    return all(name in scores for scores in result['domains'].values())


def _domains(results: Mapping[str, Mapping[str, Any]], name: str) -> str:
    first = next(iter(results.values()))['domains']
    ends = ['mean of targets'] if name == 'mIoU' else []
    rows = [[name, *first, *ends]]
    for title, result in results.items():
        mean = [_number(result['target_mean'])] if ends else []
        rows.append([title, *(_number(s[name]) for s in result['domains'].values()), *mean])
    if name == 'mIoU':
        rows.append(['chance', *(_number(s['chance']) for s in first.values()), '-'])
    return _markdown(rows)


def _retrieval(results: Mapping[str, Mapping[str, Any]]) -> str:
    first = next(iter(results.values()))['retrieval']
    ways = {'image_to_text': 'image to text', 'text_to_image': 'text to image'}
    head = [f'{words} R@{k}' for words in ways.values() for k in (1, 5)]
    rows = [[f'{first["crops"]} crops', *head]]
    for title, result in results.items():
        for part, words in (('class_token', 'class token'), ('mean_patch', 'mean of patches')):
            found = result['retrieval'][part]
            cells = (_number(found[way][f'R@{k}']) for way in ways for k in (1, 5))
            rows.append([f'{title}, {words}', *cells])
    rows.append(['chance', *(_number(first['chance'][f'R@{k}']) for _ in ways for k in (1, 5))])
    return _markdown(rows)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [f'| {" | ".join(row)} |' for row in rows]
    lines.insert(1, '|' + '---|' * len(rows[0]))
    return '\n'.join(lines)


def _number(value: float | None) -> str:
    return '-' if value is None else f'{value:.1f}'
