"""Trains a config and leaves its results."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine import dist
from mmengine.config import Config
from mmengine.logging import print_log

import rein_seg.run.results as outcome
from rein_seg.building import building
from rein_seg.checkpoint import write_text
from rein_seg.config.checks import Checked, check_run, check_sizes
from rein_seg.config.definitions import LAST, Protocol
from rein_seg.config.origins import leaves
from rein_seg.config.request import Request
from rein_seg.config.resolve import Resolved, resolve
from rein_seg.config.settings import settings_text
from rein_seg.engine.checkpoint_hook import CheckpointHook
from rein_seg.engine.ema import TrainableEMAHook
from rein_seg.engine.ranks import setup_distributed
from rein_seg.engine.runner import PEFTRunner
from rein_seg.engine.stop import StopHook
from rein_seg.run.folder import RunFolder, on_main_process, run_folder
from rein_seg.run.inference_cost import time_inference
from rein_seg.run.resume import check_settings, read_start
from rein_seg.run.weights import resumed, started_from
from rein_seg.signals import stoppable


def train(
    cfg: Config,
    *,
    resume: bool = False,
    resume_from: str | None = None,
    amp: bool = False,
    launcher: str = 'none',
    inference_cost: bool = False,
    track: Sequence[str] = (),
    texts: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Trains, evaluates, and writes the files of the run into ``cfg.work_dir``.

    Evaluates and writes the best checkpoint if the schedule keeps it (``save_best``), else the last
    state. A run that the folder already holds is moved to ``FOLDER.1``, ``FOLDER.2``, ... unless
    this run resumes it.

    Args:
        cfg: From `load_config`.
        resume: Go on from the newest checkpoint in ``cfg.work_dir``.
        resume_from: Go on from this checkpoint.
        amp: bfloat16 autocast in training and evaluation.
        launcher: none, or pytorch under torchrun.
        inference_cost: Also time inference, with the method unmerged and merged.
        track: Programs to follow the run with, too: tensorboard, wandb, mlflow.
        texts: Name -> content of further files for the work folder, such as a generated config.

    Returns:
        The content of ``results.json`` (main process; an empty dict on others).

    Raises:
        UserError: Before training starts, for any mistake in config, data or files.
        KeyboardInterrupt: After Ctrl-C or SIGTERM, when a checkpoint to go on from is written.
    """
    # first: batch and iterations depend on the number of processes
    setup_distributed(launcher, cfg)
    options = dict(resume=resume, resume_from=resume_from, track=track)
    request = Request(training=True, amp=amp, launcher=launcher, **options)
    resolved = resolve(cfg, request)
    with run_folder(resolved.cfg.work_dir) as folder:
        runner = build_runner(resolved, folder)
        if dist.is_main_process():
            for name, text in (texts or {}).items():
                write_text(folder.path / name, text)
        start = time.perf_counter()
        _run(runner)
        results = _evaluate(resolved.cfg, runner, start)
        if not dist.is_main_process():
            return {}
        if inference_cost:
            size = runner.val_dataloader.dataset[0]['inputs'].shape[-2:]
            results['inference'] = time_inference(runner.bare_model, size, amp=amp)
        return outcome.write_run(resolved.cfg, runner, results)


def _run(runner: PEFTRunner) -> None:
    """Runs the training loop; a signal stops it at a whole step, with a checkpoint."""
    with stoppable() as stop:
        runner.register_hook(StopHook(stop))
        runner.train()
    if stop.number:  # it came after the last step
        raise stop.error('the training had ended; evaluate it with --resume')


def _evaluate(cfg: Config, runner: PEFTRunner, start: float) -> dict[str, Any]:
    """Returns the results of a trained runner (main process; an empty dict on others)."""
    report = outcome.find_report(runner.val_loop.evaluator)
    selected = load_best(runner)
    # without a step there was no validation: a resumed run had ended before
    if dist.is_main_process() and not report and not selected:
        print_log('the run was complete already: evaluating it again', logger='current')
    done = bool(report) or not dist.is_main_process()
    # the last validation has scored the best checkpoint if that is the last state
    is_last = selected.get('iteration') == runner.iter
    if (selected and not is_last) or not all(dist.all_gather_object(done)):
        runner.val()
        report = outcome.find_report(runner.val_loop.evaluator)
    seconds = {'total': time.perf_counter() - start, **_step_seconds(runner)}
    digest = runner.trained_digest()  # on all ranks: it compares them
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
    return {**results, 'selected': selected} if selected else results


def build_runner(resolved: Resolved, folder: RunFolder) -> PEFTRunner:
    """Checks the data of a training run, makes place in its folder, then builds its runner."""
    cfg, deviations, start = resolved.cfg, resolved.deviations, resolved.resume_from
    settings = settings_text(cfg.to_dict())
    checked = check_run(cfg, training=True)
    record = _record(resolved, checked)
    if start is None:
        on_main_process(folder.move_old_run, _read_paths(cfg))
    else:
        on_main_process(folder.set_aside_newer, start)
    changed = [*record['changed'], *deviations.val, *checked.numbers['val']]
    changed = log_deviations(resolved.protocol, changed)
    runner = make_runner(cfg)
    runner.training_record, runner.deviations, runner.settings = record, changed, settings
    if start is not None:
        runner.resume_from(start)
    if cfg.get('ema'):
        with building('ema'):
            runner.register_hook(TrainableEMAHook(**cfg.ema))
    check_model(runner, checked.sizes)
    return runner


def _read_paths(cfg: Config) -> dict[str, str]:
    """Returns key -> path of what a run reads besides its config."""
    paths = {key: value for key, value in leaves(cfg.to_dict()) if isinstance(value, str)}
    words = ('load_from', 'checkpoint', 'data_root', 'weights', 'file')
    return {key: path for key, path in paths.items() if key.rpartition('.')[2] in words}


def _record(resolved: Resolved, checked: Checked) -> dict[str, Any]:
    """Returns the statements of a run's files on its training."""
    cfg, record, start = resolved.cfg, resolved.training_record(), resolved.resume_from
    record['changed'] += checked.numbers['train']
    record['classes'] = list(checked.trained)
    if record['selection'] != LAST:
        record['changed'] += checked.numbers['val']
    if start is not None:
        meta = read_start(start)
        record = resumed(record, start)
        record['changed'] += check_settings(meta, cfg.to_dict(), start)
    elif cfg.get('load_from'):
        start = started_from(cfg.load_from)
        record['changed'].append(f'{start}, without its method' if cfg.get('new_method') else start)
    return record


def make_runner(cfg: Config) -> PEFTRunner:
    """Builds the runner of a checked run."""
    with building('the config'):
        return PEFTRunner.from_cfg(cfg)


def check_model(runner: PEFTRunner, sizes: Mapping[str, tuple[int, int]]) -> None:
    """Checks that the encoder takes the images it will get."""
    if runner.cfg.model.get('data_preprocessor') is None:  # one of the config's own may pad
        check_sizes(runner.bare_model.backbone, sizes)


def log_deviations(protocol: Protocol, deviations: Sequence[str]) -> list[str]:
    """Logs how a run deviates from its protocol, and returns each deviation once."""
    changed = list(dict.fromkeys(deviations))
    name = protocol.name or None
    print_log(f'protocol {name}, changed: {"; ".join(changed) or "nothing"}', logger='current')
    for text in protocol.not_known:
        print_log(f'protocol {name}, not known: {text}', logger='current')
    return changed


def load_best(runner: PEFTRunner) -> dict[str, Any]:
    """Loads the best checkpoint of a run.

    Returns:
        Its ``metric``, ``score`` and ``iteration``; empty if the run kept no best checkpoint.

    Raises:
        UserError: If its file is missing.
    """
    hook = next((hook for hook in runner.hooks if isinstance(hook, CheckpointHook)), None)
    path = getattr(hook, 'best_ckpt_path', None)
    if path is None:
        return {}
    dist.barrier()  # the main process has written it
    meta = runner.load_checkpoint(path)['meta']
    hook.save_best = None  # a validation of the loaded file must not look for a better file
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
