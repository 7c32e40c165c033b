"""Tests a config with an adapter file or a training checkpoint."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from mmengine import dist
from mmengine.config import Config

import rein_seg.apis.results as outcome
from rein_seg.apis.train import build_runner
from rein_seg.checkpoint import (
    load_adapter,
    load_checkpoint,
    read_adapter,
    read_checkpoint,
    read_state_dict,
)


def test(cfg: Config, weights: str, *, amp: bool = False, launcher: str = 'none') -> dict[str, Any]:
    """Evaluates, and writes results and overview into ``cfg.work_dir``.

    Args:
        cfg: From `load_config`.
        weights: ``adapter.safetensors``, a checkpoint that training wrote, or one of the official
            Rein repository.
        amp: bfloat16 autocast.
        launcher: none, or pytorch under torchrun.

    Returns:
        The content of ``results.json`` (main process; an empty dict on others).

    Raises:
        UserError: If the weights were made for another encoder, method or class count, or anything
            else is wrong in config, data or files.
    """
    check_weights(weights)
    cfg.load_from, cfg.resume = None, False  # the runner would load it over these weights
    runner = build_runner(cfg, amp=amp, launcher=launcher, training=False)
    runner.logger.info(load_weights(runner.bare_model, weights))
    start = time.perf_counter()
    runner.test()
    report = outcome.find_report(runner.test_loop.evaluator)
    seconds = {'total': time.perf_counter() - start}
    if not dist.is_main_process():
        return {}
    results = outcome.collect_results(cfg, runner, report, seconds)
    results['weights_file'] = Path(weights).name
    return outcome.write_scores(cfg, runner, results, runner.test_dataloader)


def check_weights(path: str) -> None:
    """Checks that a weights file can be read, before models and data are built.

    Raises:
        UserError: If not.
    """
    read_adapter(path) if str(path).endswith('.safetensors') else read_state_dict(path)


def load_weights(model: Any, path: str) -> str:
    """Loads an adapter file or a checkpoint into a model; returns the coverage report.

    Raises:
        UserError: If it was made for another model.
    """
    if str(path).endswith('.safetensors'):
        return load_adapter(path, model, model.identity)
    return load_checkpoint(read_checkpoint(path), model, source=str(path))
