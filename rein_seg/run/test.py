"""Tests a config with an adapter file or a training checkpoint, under one protocol or several."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmengine import dist
from mmengine.config import Config
from mmengine.logging import print_log

import rein_seg.run.results as outcome
from rein_seg.config.checks import check_run
from rein_seg.config.deviations import inherited_deviations
from rein_seg.config.request import Request
from rein_seg.config.resolve import Resolved, resolve
from rein_seg.config.task import compares_images
from rein_seg.engine.ranks import setup_distributed
from rein_seg.engine.runner import PEFTRunner
from rein_seg.errors import UserError
from rein_seg.evaluation import protocol_table
from rein_seg.models.two_stage import TwoStageSegmentor
from rein_seg.run.train import check_model, log_deviations, make_runner
from rein_seg.run.weights import check_trained_classes, check_weights, load_weights


def test(
    cfg: Config,
    weights: str,
    *,
    protocols: Sequence[str] = (),
    amp: bool = False,
    launcher: str = 'none',
    out: str | None = None,
    show_dir: str | None = None,
) -> dict[str, Any]:
    """Evaluates, and writes results and overview into ``cfg.work_dir``.

    Args:
        cfg: From `load_config`.
        weights: ``adapter.safetensors``, a training checkpoint, or a checkpoint of the official
            Rein repository.
        protocols: Names of protocols of the benchmark: a table each, for a model that is loaded
            once; default the config's protocol.
        amp: bfloat16 autocast.
        launcher: none, or pytorch under torchrun.
        out: Folder for predictions as png files of class indexes, with a sub-folder for each of
            several protocols; None writes none.
        show_dir: Folder for predictions painted over the images; None writes none.

    Returns:
        The content of ``results.json`` (main process; an empty dict on others). ``protocols`` holds
        name -> report of the given protocols; the report of a single protocol is also at the top.

    Raises:
        UserError: If the benchmark has no such protocol, the weights were made for another encoder,
            method or number of classes, or for any other mistake in config, data or files.
    """
    setup_distributed(launcher, cfg)
    common = Request(weights_given=True, amp=amp, launcher=launcher, out=out, show_dir=show_dir)
    runs = _under(cfg, protocols, common)
    trained = check_weights(weights, cfg.model)
    sizes: dict[str, tuple[int, int]] = {}
    changed: dict[str, list[str]] = {}
    for name, run in runs.items():
        checked = check_run(run.cfg, training=False, labels=not changed)
        if not (run.cfg.model.get('text') or compares_images(run.cfg)):
            check_trained_classes(trained, checked.trained, weights)
        found = [*inherited_deviations(run.cfg, trained), *run.deviations.test]
        changed[name] = log_deviations(run.protocol, [*found, *checked.numbers['test']])
        sizes |= {f'{place}, protocol {name!r}': size for place, size in checked.sizes.items()}
    first = next(iter(runs.values())).cfg
    runner = make_runner(first)
    if first.model.get('text') and not runner.bare_model.has_open_vocabulary:
        check_trained_classes(trained, checked.classes, weights)
    check_model(runner, sizes)
    runner.logger.info(load_weights(runner.bare_model, weights))
    take_classes(runner.bare_model, checked.classes, first.benchmark.get('unseen') or ())
    start = time.perf_counter()
    reports, evaluators = {}, {}
    for name, run in runs.items():
        begun = time.perf_counter()
        evaluators[name] = runner.test_on(run.cfg, changed[name])
        took = time.perf_counter() - begun if len(runs) > 1 else None
        reports[name] = _report(run, runner, evaluators[name], took)
    seconds = {'total': time.perf_counter() - start}
    if not dist.is_main_process():
        return {}
    top = next(iter(reports.values())) if len(reports) == 1 else {}
    results = outcome.collect_results(first, runner, top, seconds)
    results['weights_file'] = Path(weights).name
    results['selection'] = trained and trained['selection']
    results['training'] = trained
    if protocols:
        results['protocols'] = reports
        print_log('\n' + protocol_table(reports), logger='current')
    for name, report in reports.items():
        page = f'report_{name}' if len(reports) > 1 else 'report'
        outcome.write_page(first, evaluators[name], {**results, **report}, page)
    return outcome.write_scores(first, results)


def take_classes(model: Any, classes: Sequence[str], unseen: Collection[str]) -> None:
    """Gives a model that reads the names of classes those of the test, where they are others.

    Args:
        model: The segmentor, with its weights.
        classes: Of the test data.
        unseen: Names of the benchmark's unseen classes; all others count as seen, as in ZegCLIP's
            tests on other data.

    Raises:
        UserError: If the classes of the model are fixed.
    """
    if model.text is None or tuple(model.text.classes) == tuple(classes):
        return
    model.set_classes(classes, [name for name in classes if name in unseen])
    if isinstance(model, TwoStageSegmentor):
        model.lists_seen = bool(unseen)
    print_log(f'the test has {len(classes)} classes of its own: {list(classes)}', logger='current')


def _under(cfg: Config, protocols: Sequence[str], request: Request) -> dict[str, Resolved]:
    """Returns name -> config, resolved for that protocol.

    Raises:
        UserError: If there is no such protocol, or pictures of several protocols would get the
            same name.
    """
    names = list(dict.fromkeys(protocols))
    if len(names) > 1 and request.show_dir is not None:
        raise UserError(
            f'--show-dir with {len(names)} protocols: their pictures have the same names; give one '
            '--protocol'
        )
    if not names:
        own = resolve(cfg, request)
        return {own.protocol.name or 'None': own}
    out = request.out
    return {
        name: resolve(
            cfg,
            replace(
                request,
                protocol=name,
                out=f'{out}/{name}' if out is not None and len(names) > 1 else out,
            ),
        )
        for name in names
    }


def _report(
    run: Resolved, runner: PEFTRunner, evaluator: Any, seconds: float | None
) -> dict[str, Any]:
    """Returns the report of one protocol, with its open questions, and draws its overview.

    Args:
        run: Config of the protocol.
        runner: With the data of the test.
        evaluator: After the test.
        seconds: Time of the test, where there are several protocols.
    """
    if not dist.is_main_process():
        return {}
    report = {
        **outcome.find_report(evaluator),
        'not_known': list(run.protocol.not_known),
        'test_cfg': dict(runner.bare_model.test_cfg),
    }
    if seconds is not None:
        report['seconds'] = round(seconds, 3)
    picture = 'overview.png' if seconds is None else f'overview_{run.protocol.name}.png'
    outcome.write_overview(run.cfg, runner, report, runner.test_dataloader, picture)
    return report
