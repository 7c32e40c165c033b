"""Hooks of the training and test loops."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.device import get_device
from mmengine.dist import get_dist_info
from mmengine.hooks import EarlyStoppingHook, Hook
from mmseg.registry import HOOKS

from rein_seg.datasets.sampling.stream import seed_everything, stream_seed


@HOOKS.register_module()
class IterationSeedHook(Hook):
    """Seeds the random numbers of a training step from (seed, iteration, rank).

    Dropout and sampled points are then the same whether a run was interrupted, or validated in
    between, or not: no generator state has to be saved.
    """

    priority = 'VERY_HIGH'

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Seeds Python, numpy and torch."""
        rank, world_size = get_dist_info()
        seed_everything(stream_seed(runner.seed, runner.iter * world_size + rank))


@HOOKS.register_module()
class AutocastHook(Hook):
    """Runs validation and test steps under autocast, as training with ``--amp`` does.

    Args:
        dtype: Name of the type of matrix products.
    """

    def __init__(self, dtype: str = 'bfloat16') -> None:
        self.dtype = getattr(torch, dtype)
        self._context: torch.autocast | None = None

    def before_val_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Enters autocast."""
        self._context = torch.autocast(get_device(), dtype=self.dtype)
        self._context.__enter__()

    def after_val_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Leaves autocast."""
        if self._context is not None:
            self._context.__exit__(None, None, None)
            self._context = None

    before_test_iter = before_val_iter
    after_test_iter = after_val_iter


@HOOKS.register_module()
class PatienceHook(EarlyStoppingHook):
    """mmengine's early stopping, such that a resumed run stops where an uninterrupted one would.

    A checkpoint is written before the validation of its iteration, so resuming from it does the
    validation again, unless the file knows of it. An equal score is no improvement.

    Args:
        monitor: Key of the metric.
        rule: ``greater`` or ``less`` is better.
        patience: Validations in a row without improvement after which the run ends.
        **kwargs: As mmengine's `EarlyStoppingHook`; here a missing key is an error.
    """

    # before CheckpointHook, which saves once more where the score is the best so far
    priority = 'LOW'

    def __init__(
        self, monitor: str, rule: str | None = None, *, patience: int = 10, **kwargs: Any
    ) -> None:
        options = {'min_delta': 1e-9, 'strict': True, **kwargs}
        super().__init__(monitor, rule, patience=patience, **options)
        self._training = False

    def before_run(self, runner: Any) -> None:
        """Does nothing: to look at the training loop, as mmengine does, builds it in a test."""

    def before_train_epoch(self, runner: Any) -> None:
        """Takes up the count of a resumed run."""
        state = runner.message_hub.runtime_info.get('patience')
        if state is not None:
            self.best_score, self.wait_count = state['best_score'], state['wait_count']
        done = 0 if state is None else state['iter']
        if runner.iter > done and runner.iter % runner.train_loop.val_interval == 0:
            runner.val_loop.run()

    def before_train(self, runner: Any) -> None:
        """Starts to count."""
        self._training = True

    def after_train(self, runner: Any) -> None:
        """Stops to count: what is validated now is the result."""
        self._training = False

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Counts, and ends the run where the patience is at its end."""
        if not self._training:
            return
        super().after_val_epoch(runner, metrics)
        state = dict(best_score=self.best_score, wait_count=self.wait_count, iter=runner.iter)
        runner.message_hub.update_info('patience', state)
