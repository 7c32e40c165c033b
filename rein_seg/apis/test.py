"""Tests a config with an adapter file or a training checkpoint, under one protocol or several."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine import dist
from mmengine.config import Config
from mmengine.logging import print_log

import rein_seg.apis.results as outcome
from rein_seg.apis.changes import evaluation_changes, inherited_changes
from rein_seg.apis.config import with_protocol
from rein_seg.apis.preflight import check_run
from rein_seg.apis.protocols import LAST, chosen_protocol
from rein_seg.apis.train import check_model, make_runner, note_changes, prepare
from rein_seg.checkpoint import (
    load_adapter,
    load_checkpoint,
    read_adapter,
    read_checkpoint,
    read_state_dict,
)
from rein_seg.engine.runner import PEFTRunner
from rein_seg.errors import UserError
from rein_seg.evaluation import find_domain_metric, protocol_table


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
        note_changes(one, [*inherited_changes(one, trained), *evaluation_changes(one, 'test')])
        for place, size in check_run(one, training=False, labels=i == 0).items():
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
    name, protocol = chosen_protocol(cfg)
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


def check_weights(path: str) -> dict[str, Any] | None:
    """Checks that a weights file can be read, before models and data are built.

    Returns:
        What it says of its training, None where it says nothing: protocol, what was changed in it,
        how the checkpoint was chosen.

    Raises:
        UserError: If not.
    """
    if str(path).endswith('.safetensors'):
        return read_adapter(path).metadata.get('training')
    read_state_dict(path)
    meta = read_checkpoint(path).get('meta')
    record = meta.get('training') if isinstance(meta, Mapping) else None
    return record and _at_iteration(record, meta.get('iter'))


def _at_iteration(record: Mapping[str, Any], iteration: int | None) -> dict[str, Any]:
    """Returns the record of a checkpoint; one before the last was chosen, by whoever took it."""
    last = record.get('max_iters')
    if record['selection'] != LAST or iteration in (None, last):
        return dict(record)
    text = f'iteration {iteration} of {last}'
    return {**record, 'selection': text, 'changed': [*record['changed'], f'checkpoint of {text}']}


def load_weights(model: Any, path: str) -> str:
    """Loads an adapter file or a checkpoint into a model; returns the coverage report.

    Raises:
        UserError: If it was made for another model.
    """
    if str(path).endswith('.safetensors'):
        return load_adapter(path, model, model.identity)
    return load_checkpoint(read_checkpoint(path), model, source=str(path))
