"""Tests a config with an adapter file or a training checkpoint, under one protocol or several."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine import dist
from mmengine.config import Config
from mmengine.logging import print_log

import rein_seg.run.results as outcome
from rein_seg.config.checks import check_run
from rein_seg.config.deviations import evaluation_changes, inherited_changes
from rein_seg.config.load import with_protocol
from rein_seg.config.protocol import stated_protocol
from rein_seg.engine.runner import PEFTRunner
from rein_seg.errors import UserError
from rein_seg.evaluation import find_domain_metric, protocol_table
from rein_seg.run.train import check_model, make_runner, note_changes, prepare
from rein_seg.run.weights import check_weights, load_weights


def test(
    cfg: Config,
    weights: str,
    *,
    protocols: Sequence[str] = (),
    amp: bool = False,
    launcher: str = 'none',
) -> dict[str, Any]:
    """Evaluates, and writes results and overview into ``cfg.work_dir``.

    Args:
        cfg: From `load_config`.
        weights: ``adapter.safetensors``, a checkpoint that training wrote, or one of the official
            Rein repository.
        protocols: Names of protocols of the benchmark, each with a table of its own, the model
            loaded once; none takes the config's.
        amp: bfloat16 autocast.
        launcher: none, or pytorch under torchrun.

    Returns:
        The content of ``results.json`` (main process; an empty dict on others). Given protocols are
        in ``protocols``, name -> report; a single one is also at the top.

    Raises:
        UserError: If the benchmark has no such protocol, the weights were made for another encoder,
            method or class count, or anything else is wrong in config, data or files.
    """
    cfg.load_from, cfg.resume = None, False  # the runner would load it over these weights
    cfgs = _under(cfg, protocols)
    trained = check_weights(weights)
    sizes: dict[str, tuple[int, int]] = {}
    for i, one in enumerate(cfgs.values()):
        prepare(one, amp=amp, launcher=launcher)
        checked = check_run(one, training=False, labels=i == 0)
        changed = [*inherited_changes(one, trained), *evaluation_changes(one, 'test')]
        note_changes(one, [*changed, *checked.numbers['test']])
        for place, size in checked.sizes.items():
            sizes[f'{place}, protocol {one.benchmark.get("protocol")!r}'] = size
    runner = make_runner(next(iter(cfgs.values())))
    check_model(cfg, runner, sizes)
    runner.logger.info(load_weights(runner.bare_model, weights))
    start = time.perf_counter()
    reports = {name: _evaluate(one, runner, len(cfgs) > 1) for name, one in cfgs.items()}
    seconds = {'total': time.perf_counter() - start}
    if not dist.is_main_process():
        return {}
    top = next(iter(reports.values())) if len(reports) == 1 else {}
    results = outcome.collect_results(cfg, runner, top, seconds)
    results['weights_file'] = Path(weights).name
    results['selection'] = trained and trained['selection']
    results['training'] = trained
    if protocols:
        results['protocols'] = reports
        print_log('\n' + protocol_table(reports), logger='current')
    return outcome.write_scores(cfg, results)


def _under(cfg: Config, protocols: Sequence[str]) -> dict[str, Config]:
    """Returns name -> config, completed for that protocol.

    Raises:
        UserError: If there is no such protocol, or pictures of several would get one name.
    """
    own = str(cfg.benchmark.get('protocol'))
    names = list(dict.fromkeys(protocols)) or [own]
    if len(names) > 1 and 'visualization' in (cfg.get('default_hooks') or {}):
        raise UserError(
            f'--show-dir with {len(names)} protocols: their pictures have the same names; give one '
            '--protocol'
        )
    if names == [own]:
        return {own: cfg}
    cfgs = {name: with_protocol(cfg, name) for name in names}
    for name, one in cfgs.items():
        metric = find_domain_metric(one.test_evaluator)
        if len(names) > 1 and metric is not None and metric.get('output_dir'):
            metric['output_dir'] = f'{metric["output_dir"]}/{name}'
    return cfgs


def _evaluate(cfg: Config, runner: PEFTRunner, several: bool) -> dict[str, Any]:
    """Returns the report of one protocol, with what is not known of it, and draws its overview."""
    start = time.perf_counter()
    report = outcome.find_report(runner.test_on(cfg))
    if not dist.is_main_process():
        return {}
    name, protocol = stated_protocol(cfg)
    report = {
        **report,
        'not_known': list(protocol.get('not_known') or []),
        'test_cfg': dict(runner.bare_model.test_cfg),
    }
    if several:
        report['seconds'] = round(time.perf_counter() - start, 3)
    picture = f'overview_{name}.png' if several else 'overview.png'
    outcome.write_overview(cfg, runner, report, runner.test_dataloader, picture)
    return report
