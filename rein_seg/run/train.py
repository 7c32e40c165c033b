"""Trains a config and leaves its results."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from mmengine import dist
from mmengine.config import Config
from mmengine.hooks import CheckpointHook
from mmengine.logging import print_log

import rein_seg.run.results as outcome
from rein_seg.config.checks import check_run, check_sizes
from rein_seg.config.config_paths import domain_metrics
from rein_seg.config.defaults import fill_average, fill_iterations
from rein_seg.config.deviations import evaluation_changes, training_record
from rein_seg.config.protocol import LAST, stated_protocol
from rein_seg.engine.ema import TrainableEMAHook
from rein_seg.engine.runner import PEFTRunner, latest_checkpoint, setup_distributed
from rein_seg.errors import UserError
from rein_seg.run.inference_cost import time_inference
from rein_seg.run.weights import resumed, started_from

T = TypeVar('T')


def train(
    cfg: Config,
    *,
    resume: bool = False,
    amp: bool = False,
    launcher: str = 'none',
    inference_cost: bool = False,
) -> dict[str, Any]:
    """Trains, evaluates, and writes what a run leaves into ``cfg.work_dir``.

    Where the schedule keeps the best checkpoint (``save_best``), that is what is evaluated and
    written, else the last state.

    Args:
        cfg: From `load_config`.
        resume: Go on from the newest checkpoint in ``cfg.work_dir``.
        amp: bfloat16 autocast in training and evaluation.
        launcher: none, or pytorch under torchrun.
        inference_cost: Also time inference, with the method as it stands and merged.

    Returns:
        The content of ``results.json`` (main process; an empty dict on others).

    Raises:
        UserError: Before training starts, for anything wrong in config, data or files.
    """
    if resume:
        cfg.load_from, cfg.resume = latest_checkpoint(cfg.work_dir), True
    runner = build_runner(cfg, amp=amp, launcher=launcher)
    start = time.perf_counter()
    runner.train()
    report = outcome.find_report(runner.val_loop.evaluator)
    selected = load_best(runner)
    if dist.is_main_process() and not report and not selected:
        print_log('the run was complete already: evaluating it again', logger='current')
    done = bool(report) or not dist.is_main_process()
    if selected or not all(dist.all_gather_object(done)):
        runner.val()
        report = outcome.find_report(runner.val_loop.evaluator)
    seconds = {'total': time.perf_counter() - start, **_step_seconds(runner)}
    digest = runner.trained_digest()
    if not dist.is_main_process():
        return {}
    if dist.get_world_size() > 1:
        print_log(f'all {dist.get_world_size()} ranks ended with identical parameters', 'current')
    results = outcome.collect_results(cfg, runner, report, seconds)
    results.update(
        selection=runner.training_record['selection'],
        training=runner.training_record,
        iterations=runner.iter,
        parameters_sha256=digest,
    )
    if selected:
        results['selected'] = selected
    if inference_cost:
        size = runner.val_dataloader.dataset[0]['inputs'].shape[-2:]
        results['inference'] = time_inference(runner.bare_model, size, amp=amp)
    return outcome.write_run(cfg, runner, results)


def build_runner(cfg: Config, *, amp: bool, launcher: str) -> PEFTRunner:
    """Checks a training run, then builds its runner."""
    prepare(cfg, amp=amp, launcher=launcher)
    checked = check_run(cfg, training=True)
    fill_iterations(cfg)
    record = training_record(cfg)
    record['changed'] += checked.numbers['train']
    if record['selection'] != LAST:
        record['changed'] += checked.numbers['val']
    if cfg.get('resume'):
        record = resumed(record, cfg.load_from)
    elif cfg.get('load_from'):
        record['changed'].append(started_from(cfg.load_from))
    evaluation = [*evaluation_changes(cfg, 'val'), *checked.numbers['val']]
    note_changes(cfg, [*record['changed'], *evaluation])
    runner = make_runner(cfg)
    runner.training_record = record
    if cfg.get('ema'):
        runner.register_hook(make_known(TrainableEMAHook, **cfg.ema))
    check_model(cfg, runner, checked.sizes)
    return runner


def make_runner(cfg: Config) -> PEFTRunner:
    """Builds the runner of a checked run."""
    return make_known(PEFTRunner.from_cfg, cfg)


def make_known(build: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Builds something; an argument of the config that is not known is the user's error."""
    try:
        return build(*args, **kwargs)
    except TypeError as error:
        if 'unexpected keyword argument' not in str(error):
            raise
        raise UserError(f'the config has an argument that is not known: {error}') from error


def check_model(cfg: Config, runner: PEFTRunner, sizes: Mapping[str, tuple[int, int]]) -> None:
    """Checks that the encoder takes the images it will get."""
    if cfg.model.get('data_preprocessor') is None:  # one of the config's own may pad
        check_sizes(runner.bare_model.backbone, sizes)


def prepare(cfg: Config, *, amp: bool, launcher: str) -> None:
    """Starts the process group and writes into the config what the command line says."""
    setup_distributed(launcher)
    cfg.launcher = launcher
    fill_average(cfg)
    if launcher != 'none' and dist.get_backend() == 'gloo':
        wrapper = cfg.get('model_wrapper_cfg') or dict(type='MMDistributedDataParallel')
        cfg.model_wrapper_cfg = {**wrapper, 'device_ids': None}
    if amp:
        cfg.optim_wrapper = {**cfg.optim_wrapper, 'type': 'AutocastOptimWrapper'}
        cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), dict(type='AutocastHook')]


def note_changes(cfg: Config, changed: Sequence[str]) -> None:
    """Logs what a run changes in its protocol, and has the metrics print it beside the name."""
    changed = list(dict.fromkeys(changed))
    for metric in domain_metrics(cfg):
        metric.pop('changed', None)
        if changed:
            metric['changed'] = changed
    name, protocol = stated_protocol(cfg)
    print_log(f'protocol {name}, changed: {"; ".join(changed) or "nothing"}', logger='current')
    for text in protocol.get('not_known') or []:
        print_log(f'protocol {name}, not known: {text}', logger='current')


def load_best(runner: PEFTRunner) -> dict[str, Any]:
    """Loads the best checkpoint that a run kept.

    Returns:
        ``metric``, ``score`` and ``iteration`` of it; empty where the run kept none.

    Raises:
        UserError: If its file is gone.
    """
    hook = next((hook for hook in runner.hooks if isinstance(hook, CheckpointHook)), None)
    path = getattr(hook, 'best_ckpt_path', None)
    if path is None:
        return {}
    dist.barrier()  # the main process has written it
    meta = runner.load_checkpoint(path)['meta']
    hook.save_best = None  # what is validated from here on is this file's, and no better one
    return {
        'metric': hook.key_indicators[0],
        'score': float(runner.message_hub.get_info('best_score')),
        'iteration': meta['iter'],
    }


def _step_seconds(runner: PEFTRunner) -> dict[str, float]:
    scalars = runner.message_hub.log_scalars
    if 'train/time' not in scalars:
        return {}
    return {'per_iteration': float(scalars['train/time'].mean())}
