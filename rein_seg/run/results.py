"""The files of a run: results, adapter, overview, report, environment."""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine import dist
from mmengine.config import Config
from mmengine.logging import print_log

from rein_seg.checkpoint import write_json
from rein_seg.checkpoint.adapter import write_adapter
from rein_seg.datasets.task_datasets import views
from rein_seg.datasets.unseen import channel_classes
from rein_seg.engine.runner import PEFTRunner
from rein_seg.environment import describe_environment
from rein_seg.evaluation import ScoresByDomain, class_table
from rein_seg.models.base import count_parameters, task_of
from rein_seg.palettes import palette_for
from rein_seg.registry import reconstructions
from rein_seg.run.command import command_line
from rein_seg.run.image_overview import draw_image_overview
from rein_seg.run.overview import draw_overview
from rein_seg.run.places import without_places
from rein_seg.run.predict import dataset_meta
from rein_seg.run.report import build_report, page_name, task_reports, write_report


def find_metric(evaluator: Any) -> ScoresByDomain | None:
    """Returns the evaluator's first `ScoresByDomain`, or None without such a metric."""
    return next((one for one in evaluator.metrics if isinstance(one, ScoresByDomain)), None)


def find_report(evaluator: Any) -> dict[str, Any]:
    """Returns the report of the evaluator's first `ScoresByDomain`, empty without such a metric.

    Of several tasks it is the report of the first; ``tasks`` holds the reports of all.
    """
    metric, every = find_metric(evaluator), task_metrics(evaluator)
    if metric is None:
        return {}
    tasks = {task: one.report for task, one in every.items() if task is not None and one.report}
    return {**metric.report, 'tasks': tasks} if tasks else metric.report


def task_metrics(evaluator: Any) -> dict[str | None, ScoresByDomain]:
    """Returns the first `ScoresByDomain` of each task; of a run of one task under None."""
    found: dict[str | None, ScoresByDomain] = {}
    for one in evaluator.metrics:
        if isinstance(one, ScoresByDomain):
            found.setdefault(one.of_task, one)
    return found


def collect_results(
    cfg: Config, runner: PEFTRunner, report: dict[str, Any], seconds: dict[str, float]
) -> dict[str, Any]:
    """Returns the content of ``results.json`` without the size of the adapter.

    Args:
        cfg: Resolved config.
        runner: Of the run.
        report: Of the metric: scores by domain and their mean.
        seconds: Name of a stage -> its duration.
    """
    model = runner.bare_model
    info = model.backbone.encoder_info
    return {
        'config': Path(cfg.filename).name if cfg.filename else None,
        'command': command_line(),
        'benchmark': cfg.benchmark.get('name'),
        **report,
        **({'reconstructions': found} if (found := reconstructions(model)) else {}),
        'method': model.identity['method'],
        # without text nothing tells the model of unseen classes
        'text': None if model.text is None else model.identity['text'],
        'encoder': {'name': info.name, 'weights': info.weights},
        'num_classes': model.num_classes,
        'test_cfg': dict(model.test_cfg),
        'parameters': count_parameters(model),
        'seed': runner.seed,
        'processes': dist.get_world_size(),
        'seconds': {key: round(value, 3) for key, value in seconds.items()},
        'peak_memory_mib': round(peak_memory_mib(), 1),
        'environment': describe_environment(),
    }


def write_run(cfg: Config, runner: PEFTRunner, results: dict[str, Any]) -> dict[str, Any]:
    """Writes adapter, results, environment and overview of a training run."""
    folder, model = Path(cfg.work_dir), runner.bare_model
    scores = {'protocol': results.get('protocol'), **_scores(results)}
    if results.get('tasks'):
        scores['tasks'] = {task: _scores(one) for task, one in results['tasks'].items()}
    metadata = adapter_metadata(
        cfg,
        model,
        scores=scores,
        config=runner.config_text,
        training=results.get('training'),
    )
    size = write_adapter(folder / 'adapter.safetensors', model.adapter_state(), metadata)
    results = {**results, 'adapter': {'file': 'adapter.safetensors', **size}}
    write_overview(cfg, runner, results, runner.val_dataloader)
    write_page(cfg, runner.val_loop.evaluator, results)
    return write_scores(cfg, results)


def _scores(report: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the mean over targets, and column -> domain -> score."""
    mean = report.get('mean_over_targets')
    by_domain = {
        column: {name: one[column] for name, one in report['domains'].items()}
        for column in mean or {}
    }
    return {'mean_over_targets': mean, **by_domain}


def adapter_metadata(
    cfg: Config,
    model: Any,
    *,
    scores: dict,
    config: str,
    training: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Returns the metadata of an adapter file.

    Args:
        cfg: Config of the run.
        model: The segmentor.
        scores: ``mIoU`` (and others) of each domain, ``protocol`` and ``mean_over_targets`` where
            known.
        config: Text of the resolved config; the file gets no absolute path of it.
        training: Protocol, deviations from it, choice of the checkpoint; None is unknown.
    """
    return {
        **model.identity,
        'encoder_name': model.backbone.encoder_info.name,
        'benchmark': cfg.benchmark.get('name'),
        'scores': {'protocol': cfg.benchmark.get('protocol'), **scores},
        'selection': training and training['selection'],
        'training': training,
        'dataset_meta': classes_and_palette(cfg),
        'config': without_places(config),
    }


def classes_and_palette(cfg: Config) -> dict[str, Any] | None:
    """Returns classes and palette of a config's model, in the types of JSON; None without data.

    Example:
        >>> import rein_seg.apis
        >>> from mmengine.config import Config
        >>> from rein_seg.run.results import classes_and_palette
        >>> own = dict(type='FolderDataset', metainfo=dict(classes=('road', 'sky')))
        >>> classes_and_palette(Config(dict(test_dataloader=dict(dataset=own))))
        {'classes': ['road', 'sky'], 'palette': [[204, 0, 51], [0, 255, 0]]}
    """
    if not any((cfg.get(f'{use}_dataloader') or {}).get('dataset') for use in ('val', 'test')):
        return None
    meta = dataset_meta(cfg)
    classes = list(meta['classes'])
    palette = palette_for(len(classes), meta.get('palette'))
    return {'classes': classes, 'palette': [[int(v) for v in colour] for colour in palette]}


def write_overview(
    cfg: Config,
    runner: PEFTRunner,
    results: dict[str, Any],
    loader: Any,
    name: str = 'overview.png',
) -> None:
    """Draws one sample of each domain with its prediction into the work folder."""
    if task_of(cfg.model.type) == 'images':
        path = Path(cfg.work_dir) / name
        draw_image_overview(path, runner.bare_model, loader.dataset, results)
        return
    reports = task_reports(results)
    for i, (task, data) in enumerate(views(loader.dataset)):
        path = Path(cfg.work_dir) / name
        path = path.with_stem(page_name(path.stem, task, first=i == 0))
        channels = channel_classes(data.metainfo['classes'], cfg.get('benchmark'))
        draw_overview(path, runner.bare_model, data, reports.get(task, results), channels)


def write_page(
    cfg: Config, evaluator: Any, results: Mapping[str, Any], name: str = 'report'
) -> None:
    """Writes the report of a run: ``report.json`` and the page made of it.

    Args:
        cfg: Config of the run.
        evaluator: After its test.
        results: Content of ``results.json``.
        name: Of both files.
    """
    reports = task_reports(results)
    for i, (task, metric) in enumerate(task_metrics(evaluator).items()):
        if metric.report:
            content = build_report(metric, cfg.work_dir)
            page = page_name(name, task, first=i == 0)
            write_report(cfg.work_dir, reports.get(task, results), content, page)


def write_scores(cfg: Config, results: dict[str, Any]) -> dict[str, Any]:
    """Writes results and environment, and logs their place."""
    folder = Path(cfg.work_dir)
    write_json(folder / 'results.json', results)
    write_json(folder / 'environment.json', results['environment'])
    for name, report in results.get('protocols', {None: results}).items():
        for task, one in task_reports(report).items():
            if one.get('domains') and (classes := class_table(one)):
                names = {'protocol': name, 'task': task}
                title = ''.join(f'{k} {v}\n' for k, v in names.items() if v is not None)
                print_log(f'\n{title}{classes}', logger='current')
    written = ', '.join(sorted(path.name for path in folder.glob('[!.]*')))
    print_log(f'wrote {written} in {folder}/', 'current')
    return results


def peak_memory_mib() -> float:
    """Returns the peak memory of this process in MiB: of the GPU if there is one, else resident.

    Example:
        >>> from rein_seg.run.results import peak_memory_mib
        >>> peak_memory_mib() > 10
        True
    """
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    # in bytes on macOS, in KiB elsewhere
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == 'darwin' else 2**10)
