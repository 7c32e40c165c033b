"""Notes for the reader of a comparison: failures, and differences between its runs."""

from __future__ import annotations

from collections.abc import Sequence

from rein_seg.compare.entry import Results, Run


def notes(runs: Sequence[Run]) -> list[str]:
    """Returns notes for the reader of the tables: failures, and differences between runs."""
    return [*score_notes(runs), *_cost_notes(runs)]


def score_notes(runs: Sequence[Run]) -> list[str]:
    """Returns notes for the reader of the scores."""
    found = [
        f'{run.variant}, seed {run.seed} failed: {run.error}'
        for run in runs
        if run.state == 'failed'
    ]
    missing = [run for run in runs if run.state not in ('finished', 'failed')]
    if missing:
        found.append(f'{len(missing)} of {len(runs)} runs are not finished')
    finished = [run for run in runs if run.results is not None]
    steps = {run.variant: run.results.get('iterations') for run in finished}
    # with a selected checkpoint the numbers of iterations differ by design
    chosen = any('selected' in run.results for run in finished)
    if len(set(steps.values())) > 1 and not chosen:
        listed = ', '.join(f'{name} {count}' for name, count in steps.items())
        found.append(f'the variants trained for different numbers of iterations: {listed}')
    changed = {run.variant: '; '.join(run.results.get('changed') or []) for run in finished}
    if any(changed.values()):
        listed = ', '.join(f'{name}: {text or "nothing"}' for name, text in changed.items())
        alike = next(iter(changed.values())) if len(set(changed.values())) == 1 else listed
        found.append(f'what was changed in the protocol: {alike}')
    return found


def _cost_notes(runs: Sequence[Run]) -> list[str]:
    found = []
    finished = [run for run in runs if run.results is not None]
    sessions = [session for run in finished for session in run.sessions]
    if len({str(sorted(session['code'].items())) for session in sessions}) > 1:
        found.append('the runs were made by different versions of the code or of its packages')
    machines = {_machine(run.results) for run in finished}
    if len(machines) > 1:
        found.append(f'times and memory are of different machines: {"; ".join(sorted(machines))}')
    if any(session['jobs'] > 1 for session in sessions):
        found.append('several runs shared the machine (--jobs): their times are not those of one')
    return found


def _machine(results: Results) -> str:
    environment = results.get('environment', {})
    processor = f'{environment.get("processor")}, {environment.get("threads")} threads'
    return environment.get('gpu') or processor


def task_notes(others: Sequence[str]) -> list[str]:
    """Returns notes on the tasks that stand beside the first.

    Args:
        others: Their names.
    """
    if not others:
        return []
    return [
        f'page and picture show the first task; the scores of {", ".join(others)} are in the '
        'tables of comparison.md, comparison.csv and comparison.json'
    ]
