"""Reads and compares the results of earlier runs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rein_seg.compare.aggregate import build_comparison
from rein_seg.compare.entry import Run
from rein_seg.compare.notes import score_notes
from rein_seg.compare.tables import score_paragraphs
from rein_seg.errors import UserError

_NEEDED = ('method', 'domains', 'seed', 'parameters')


def show_results(paths: Sequence[str | os.PathLike[str]], *, metrics: Sequence[str] = ()) -> str:
    """Returns the scores of finished runs as text tables, with the command that trained each.

    Args:
        paths: As for `stored_runs`.
        metrics: Scores to show; empty takes the default.

    Raises:
        UserError: As `stored_runs`, or if the runs have different benchmarks.
    """
    runs = stored_runs(paths)
    comparison = build_comparison(runs, metrics)
    made = [f'{name}: {command}' for name, command in _commands(runs).items()]
    notes = [f'Note: {note}.' for note in score_notes(runs)]
    return '\n\n'.join([*score_paragraphs(comparison), *notes, '\n'.join(made)]).strip()


def stored_runs(paths: Sequence[str | os.PathLike[str]]) -> list[Run]:
    """Reads ``results.json`` files as runs; the seeds of a method make a variant.

    Args:
        paths: Files, or folders that hold a ``results.json``.

    Raises:
        UserError: If a file is missing or holds no results of a training run, or two runs of a
            method have the same seed.
    """
    runs: list[Run] = []
    for path in paths:
        results = _read(Path(path))
        run = Run(
            variant=method_name(results['method']),
            seed=results['seed'],
            state='finished',
            config=results.get('config'),
            path=str(path),
            results=results,
        )
        for other in runs:
            if (other.variant, other.seed) == (run.variant, run.seed):
                raise UserError(
                    f'{other.path} and {path} are both of {run.variant} with seed {run.seed}: give '
                    'one of them'
                )
        runs.append(run)
    return runs


def method_name(method: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> str:
    """Returns the type of a method, or the joined types of a list of methods.

    Example:
        >>> from rein_seg.compare.stored import method_name
        >>> method_name([{'type': 'LoRA'}, {'type': 'BitFit'}])
        'LoRA+BitFit'
    """
    methods = [method] if isinstance(method, Mapping) else method
    return '+'.join(one['type'] for one in methods)


def _commands(runs: Sequence[Run]) -> dict[str, str]:
    """Returns variant -> the command that trained it, if its config is known."""
    return {run.variant: f'rein-seg train {run.config}' for run in runs if run.config}


def _read(path: Path) -> dict[str, Any]:
    file = path / 'results.json' if path.is_dir() else path
    if not file.is_file():
        raise UserError(
            f'{str(file)!r} does not exist: give the folder of a finished training run, or its '
            'results.json'
        )
    try:
        results = json.loads(file.read_text())
    except json.JSONDecodeError as error:
        raise UserError(f'{str(file)!r} is not JSON: {error}') from error
    missing = [key for key in _NEEDED if key not in results] if isinstance(results, dict) else []
    if not isinstance(results, dict) or missing:
        raise UserError(
            f'{str(file)!r} holds no results of a training run'
            + (f': it has no {", ".join(missing)}' if missing else '')
        )
    return results
