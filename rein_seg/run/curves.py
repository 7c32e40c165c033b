"""The scalars that a run has logged, as curves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

_POINTS = 400  # of a curve, at most
_NO_CURVES = ('step', 'iter', 'epoch', 'data_time', 'time')

Curve = list[tuple[int, float]]


def read_curves(folder: str | Path) -> dict[str, dict[str, Curve]]:
    """Returns the curves of a run: ``train`` and ``validation``, name -> (iteration, value).

    A resumed run has a log for each session; values after the checkpoint that a session went on
    from are those of the later session.

    Args:
        folder: Work folder of the run.

    Example:
        >>> from pathlib import Path
        >>> from rein_seg.run.curves import read_curves
        >>> log = Path('20260101/vis_data')
        >>> log.mkdir(parents=True)
        >>> _ = (log / 'scalars.json').write_text('{"lr": 0.1, "loss": 2, "step": 5}')
        >>> read_curves('.')['train']
        {'lr': [(5, 0.1)], 'loss': [(5, 2.0)]}
    """
    found: dict[str, dict[str, Curve]] = {'train': {}, 'validation': {}}
    for path in sorted(Path(folder).glob('*/vis_data/scalars.json')):
        lines = list(_lines(path))
        steps = [line['step'] for line in lines if 'lr' in line]
        if steps:
            _cut(found, steps[0])
        for line in lines:
            curves = found['train' if 'lr' in line else 'validation']
            for name, value in line.items():
                if name not in _NO_CURVES and isinstance(value, (int, float)):
                    _add(curves.setdefault(name, []), line['step'], float(value))
    return {
        kind: {name: thinned(curve) for name, curve in curves.items()}
        for kind, curves in found.items()
    }


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    for text in path.read_text(errors='replace').splitlines():
        try:
            line = json.loads(text)
        except ValueError:  # a run that was killed leaves half a line
            continue
        if isinstance(line, dict) and isinstance(line.get('step'), int):
            yield line


def _cut(found: Mapping[str, Mapping[str, Curve]], start: int) -> None:
    for curves in found.values():
        for curve in curves.values():
            curve[:] = [point for point in curve if point[0] < start]


def _add(curve: Curve, step: int, value: float) -> None:
    # a second validation at the same iteration is of the chosen checkpoint, which is another
    if not curve or curve[-1][0] != step:
        curve.append((step, value))


def thinned(curve: Sequence[tuple[int, float]], most: int = _POINTS) -> Curve:
    """Returns a curve with at most ``most`` points: means of neighbours, at their last iteration.

    Args:
        curve: (iteration, value).
        most: Number of points.

    Example:
        >>> from rein_seg.run.curves import thinned
        >>> thinned([(1, 4.0), (2, 2.0), (3, 1.0)], most=2)
        [(2, 3.0), (3, 1.0)]
    """
    size = -(-len(curve) // most) if curve else 1
    parts = [curve[start : start + size] for start in range(0, len(curve), size)]
    return [(part[-1][0], sum(value for _, value in part) / len(part)) for part in parts]
