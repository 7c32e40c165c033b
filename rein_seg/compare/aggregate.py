"""Results of runs side by side: pure functions of loaded ``results.json`` files.

A *statistic* is ``{'mean': ..., 'std': ..., 'n': ...}``: the sample standard deviation (n - 1),
None for one value; a mean of no values is None.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rein_seg.compare.entry import Results, Run
from rein_seg.compare.notes import notes, task_notes
from rein_seg.errors import UserError
from rein_seg.evaluation import unit_of

FORMAT = 'rein_seg-comparison/1'
# columns of SeenUnseenIoU that a comparison shows without a request
SEEN_UNSEEN = ('hIoU', 'S', 'U')
# scores whose smaller values are better; all others are better if larger
LOWER_IS_BETTER = frozenset({'MAE', 'BER', 'HD95', 'ASD', 'ASSD'})
# scores are comparable only if these are equal
_SHARED = ('benchmark', 'protocol', 'source', 'targets', 'num_classes', 'unseen')
# names in results['inference'] -> names of costs
_INFERENCE = {
    'ms_per_image': 'inference_ms',
    'ms_per_image_merged': 'inference_ms_merged',
    'encoder_ratio': 'encoder_ratio',
    'encoder_ratio_merged': 'encoder_ratio_merged',
}
_COSTS = (
    'seconds_per_iteration',
    'wall_seconds',
    'peak_memory_mib',
    'adapter_bytes',
    *_INFERENCE.values(),
)


def build_comparison(
    runs: Sequence[Run], metrics: Sequence[str] = (), *, command: str | None = None
) -> dict[str, Any]:
    """Returns the content of ``comparison.json``.

    Args:
        runs: Runs, in the order of the table.
        metrics: Scores to show; empty takes the default of `choose_metrics`.
        command: Command that repeats the comparison.

    Raises:
        UserError: If runs have different benchmarks, or a metric is not in their results.

    Example:
        >>> from rein_seg.compare import Run, build_comparison
        >>> about = dict(benchmark='toy', protocol='toy-1', source='day', targets=['night'])
        >>> runs = [
        ...     Run('LoRA', seed, 'finished', results=dict(
        ...         about, domains={'day': {'mIoU': 50.0 + seed}, 'night': {'mIoU': 40.0 - seed}}))
        ...     for seed in (0, 2)
        ... ]
        >>> scores = build_comparison(runs)['variants'][0]['scores']['mIoU']
        >>> scores['source']
        {'mean': 51.0, 'std': 1.4142135623730951, 'n': 2}
        >>> scores['gap']['mean']
        12.0
    """
    finished = [run for run in runs if run.results is not None]
    shared = shared_benchmark(finished)
    others = other_tasks(finished)
    known = known_metrics([run.results for run in finished if run.results is not None])
    names = list(dict.fromkeys(run.variant for run in runs))
    return {
        'format': FORMAT,
        'command': command,
        **shared,
        'metrics': {name: _describe(name, finished) for name in known},
        'shown': choose_metrics(known, metrics) if finished else list(metrics),
        'variants': [
            summarise(name, [run for run in runs if run.variant == name], known) for name in names
        ],
        'runs': [_run_entry(run, known) for run in runs],
        'notes': [*notes(runs), *task_notes(others)],
        **({'tasks': {task: _of_task(runs, task, metrics) for task in others}} if others else {}),
    }


def other_tasks(finished: Sequence[Run]) -> list[str]:
    """Returns the tasks of runs of several, without the first, whose results stand at the top.

    Raises:
        UserError: If two runs have other tasks.
    """
    named = {tuple(run.results.get('tasks') or ()): run for run in finished if run.results}
    if len(named) > 1:
        (first, one), (second, other) = list(named.items())[:2]
        raise UserError(
            f'{one.variant}, seed {one.seed} has the tasks {list(first)}, {other.variant}, seed '
            f'{other.seed} has {list(second)}: scores of different tasks cannot stand side by '
            'side; make one comparison for each'
        )
    return list(next(iter(named), ()))[1:]


def _of_task(runs: Sequence[Run], task: str, metrics: Sequence[str]) -> dict[str, Any]:
    """Returns the scores of one of several tasks, as `build_comparison` has the first's."""
    own = [
        run
        if run.results is None
        else replace(run, results={**run.results, **run.results['tasks'][task], 'tasks': None})
        for run in runs
    ]
    known = known_metrics([run.results for run in own if run.results is not None])
    whole = build_comparison(own, [name for name in metrics if name in known])
    keys = ('task', 'source', 'targets', 'metrics', 'shown', 'variants')
    return {key: whole.get(key) for key in keys}


def shared_benchmark(finished: Sequence[Run]) -> dict[str, Any]:
    """Returns benchmark, protocol, source, targets, class count and unseen classes of all runs.

    Raises:
        UserError: If two runs differ in any of these.
    """
    first = finished[0] if finished else None
    shared = {key: first.results.get(key) if first else None for key in _SHARED}
    task = first.results.get('task') if first and first.results else None
    for run in finished:
        for key, value in shared.items():
            if run.results.get(key) != value:
                raise UserError(
                    f'{run.variant}, seed {run.seed} has {key} {run.results.get(key)!r}, '
                    f'{first.variant}, seed {first.seed} has {value!r}: scores of different '
                    'benchmarks cannot stand side by side; make one comparison for each'
                )
    return {**shared, 'task': task} if task else shared


def known_metrics(all_results: Sequence[Results]) -> list[str]:
    """Returns the scores that every domain of every run has, in the order of the first domain."""
    domains = [domain for results in all_results for domain in results['domains'].values()]
    if not domains:
        return []
    return [
        key
        for key in domains[0]
        if key not in ('images', 'volumes') and all(key in d and _is_score(d[key]) for d in domains)
    ]


def _is_score(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def choose_metrics(known: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Returns the metrics to show: as requested, or by the columns that the runs have.

    Without a request: hIoU, S and U (unseen classes), Dice_image (binary), Dice (volumes) or mIoU.

    Raises:
        UserError: If a requested metric is unknown.

    Example:
        >>> from rein_seg.compare.aggregate import choose_metrics
        >>> choose_metrics(['aAcc', 'mIoU'], []), choose_metrics(['aAcc', 'mIoU'], ['aAcc'])
        (['mIoU'], ['aAcc'])
    """
    for name in wanted:
        if name not in known:
            raise UserError(
                f'--metric {name}: the runs give no such score; they have {", ".join(known)}'
            )
    if set(SEEN_UNSEEN) <= set(known):
        default = list(SEEN_UNSEEN)
    else:
        default = [name for name in ('Dice_image', 'Dice', 'mIoU') if name in known][:1]
    return list(dict.fromkeys(wanted)) or default or list(known[:1])


def _better(metric: str) -> str:
    return 'lower' if metric in LOWER_IS_BETTER else 'higher'


def _describe(metric: str, finished: Sequence[Run]) -> dict[str, str]:
    units = [unit_of(run.results or {}, metric) for run in finished]
    # the runs of a comparison have one metric; a run that failed has no results
    unit = next((unit for unit in units if unit != '%'), '%')
    return {'better': _better(metric), 'unit': unit}


def scores_of(results: Results, metric: str) -> dict[str, Any]:
    """Returns a metric of a run.

    ``gap`` is the loss from source to targets: positive if the targets are worse.

    Returns:
        ``source``, ``mean_over_targets``, ``gap`` (None without source, target or value),
        ``domains`` (name -> value).
    """
    domains = {name: scores.get(metric) for name, scores in results['domains'].items()}
    source = domains.get(results.get('source'))
    # the report's own mean counts: it may weigh domains in its own way
    means = results.get('mean_over_targets') or {}
    mean = means[metric] if metric in means else _mean_over_targets(results, domains)
    gap = None if source is None or mean is None else source - mean
    if gap is not None and _better(metric) == 'lower':
        gap = -gap
    return {'source': source, 'mean_over_targets': mean, 'gap': gap, 'domains': domains}


def _mean_over_targets(results: Results, domains: Mapping[str, float | None]) -> float | None:
    targets = [domains.get(name) for name in results.get('targets') or []]
    return None if not targets or None in targets else statistics.fmean(targets)


def statistic(values: Iterable[float | None]) -> dict[str, Any]:
    """Returns mean, sample standard deviation and number of the values that are not None.

    Example:
        >>> from rein_seg.compare.aggregate import statistic
        >>> statistic([10.0, None, 14.0])
        {'mean': 12.0, 'std': 2.8284271247461903, 'n': 2}
    """
    there = [value for value in values if value is not None]
    return {
        'mean': statistics.fmean(there) if there else None,
        'std': statistics.stdev(there) if len(there) > 1 else None,
        'n': len(there),
    }


def summarise(name: str, runs: Sequence[Run], metrics: Sequence[str]) -> dict[str, Any]:
    """Returns the entry of a variant: its runs over seeds as statistics.

    Args:
        name: Name of the variant.
        runs: Its runs, finished or not.
        metrics: Scores to aggregate.
    """
    finished = [run for run in runs if run.results is not None]
    results = [run.results for run in finished]
    first = results[0] if results else {}
    costs = [costs_of(run) for run in finished]
    return {
        'name': name,
        'config': runs[0].config,
        'runs': len(runs),
        'finished': len(finished),
        'failed': sum(run.state == 'failed' for run in runs),
        'seeds': [run.seed for run in finished],
        **{key: first.get(key) for key in ('method', 'encoder', 'parameters', 'iterations')},
        'scores': {metric: _score_statistics(results, metric) for metric in metrics},
        'costs': {key: statistic(cost[key] for cost in costs) for key in _COSTS},
        'inference_size': first.get('inference', {}).get('size'),
        'not_mergeable': first.get('inference', {}).get('not_mergeable'),
        'classes': class_statistics(results),
    }


def costs_of(run: Run) -> dict[str, float | None]:
    """Returns the costs of a finished run; ``wall_seconds`` includes start-up and evaluation.

    ``inference_ms`` is the time of an image. ``encoder_ratio`` is the time of the encoder with the
    method, divided by the time of the frozen encoder. ``_merged`` is measured with the method
    merged into the weights: None if it cannot be merged, or was not measured.
    """
    results = run.results or {}
    inference = results.get('inference', {})
    return {
        'seconds_per_iteration': results.get('seconds', {}).get('per_iteration'),
        'wall_seconds': run.wall_seconds,
        'peak_memory_mib': results.get('peak_memory_mib'),
        'adapter_bytes': results.get('adapter', {}).get('bytes'),
        **{cost: inference.get(key) for key, cost in _INFERENCE.items()},
    }


def _score_statistics(results: Sequence[Results], metric: str) -> dict[str, Any]:
    scores = [scores_of(result, metric) for result in results]
    domains = list(scores[0]['domains']) if scores else []
    single = ('source', 'mean_over_targets', 'gap')
    return {
        **{key: statistic(score[key] for score in scores) for key in single},
        'domains': {d: statistic(score['domains'].get(d) for score in scores) for d in domains},
    }


def class_statistics(results: Sequence[Results]) -> dict[str, Any]:
    """Returns scores by class (``IoU`` and the like): score -> domain -> class -> statistic."""
    table: dict[str, Any] = {}
    for domain in results[0]['domains'] if results else ():
        tables = [_class_tables(r['domains'][domain]) for r in results]
        for key, by_class in tables[0].items():
            table.setdefault(key, {})[domain] = {
                name: statistic(one.get(key, {}).get(name) for one in tables) for name in by_class
            }
    return table


def _class_tables(scores: Mapping[str, Any]) -> dict[str, Mapping[str, float | None]]:
    """Returns the scores of a domain that have a value for each class."""
    # ``presence`` counts volumes by the kind of their result, not by class
    tables = {k: v for k, v in scores.items() if isinstance(v, Mapping) and k != 'presence'}
    return {**tables.pop('of_classes', {}), **tables}


def _run_entry(run: Run, metrics: Sequence[str]) -> dict[str, Any]:
    entry: dict[str, Any] = {'variant': run.variant, 'seed': run.seed, 'state': run.state}
    if run.error is not None:
        entry['error'] = run.error
    if run.results is None:
        return entry
    return {
        **entry,
        'results': run.path,
        'scores': {metric: scores_of(run.results, metric) for metric in metrics},
        **costs_of(run),
        'sessions': len(run.sessions),
        **{key: run.results.get(key) for key in ('iterations', 'selected', 'parameters_sha256')},
    }
