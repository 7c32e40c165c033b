"""Hooks of the training and test loops."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from mmengine.device import get_device
from mmengine.dist import get_dist_info
from mmengine.hooks import EarlyStoppingHook, Hook
from mmseg.registry import HOOKS

from rein_seg.datasets.sampling.stream import seed_everything, stream_seed

# parts of a score's name that mmengine's hooks do not know; they look for them in any case
MORE_IS_BETTER = ('IoU', 'Dice', 'pAcc', '/S', '/U')


@HOOKS.register_module()
class IterationSeedHook(Hook):
    """Seeds the random numbers of a training step from (seed, iteration, rank).

    Dropout and sampled points do not depend on interruptions and validations, and no generator
    state has to be saved.
    """

    priority = 'VERY_HIGH'

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Seeds Python, NumPy and PyTorch."""
        rank, world_size = get_dist_info()
        seed_everything(stream_seed(runner.seed, runner.iter * world_size + rank))


@HOOKS.register_module()
class AutocastHook(Hook):
    """Runs validation and test steps under autocast, as ``--amp`` runs training steps.

    Args:
        dtype: Name of the type for matrix products.

    Example:
        >>> import torch
        >>> from mmengine.device import get_device
        >>> from rein_seg.engine import AutocastHook
        >>> hook, x = AutocastHook(), torch.zeros(4, 4, device=get_device())
        >>> hook.before_val_iter(runner=None, batch_idx=0)
        >>> (x @ x).dtype
        torch.bfloat16
        >>> hook.after_val_iter(runner=None, batch_idx=0)
    """

    def __init__(self, dtype: str = 'bfloat16') -> None:
        self.dtype = getattr(torch, dtype)
        self._context: torch.autocast | None = None

    def before_val_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Enters autocast."""
        # entered and left by hand: mmengine has no hook around a step
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
    """mmengine's early stopping, with the same end whether a run was interrupted or not.

    A checkpoint is written before the validation of its iteration. Resuming from it repeats that
    validation, unless the file already counts it. An equal score is no improvement.

    Args:
        monitor: Key of the metric.
        rule: ``greater`` or ``less``: which scores are better; found by the name of an IoU.
        patience: The run ends after so many validations in a row without improvement.
        **kwargs: As mmengine's `EarlyStoppingHook`, but a missing key is an error.
    """

    # before CheckpointHook, which saves again after the best score so far
    priority = 'LOW'
    _default_greater_keys: ClassVar = [*EarlyStoppingHook._default_greater_keys, *MORE_IS_BETTER]

    def __init__(
        self, monitor: str, rule: str | None = None, *, patience: int = 10, **kwargs: Any
    ) -> None:
        options = {'min_delta': 1e-9, 'strict': True, **kwargs}
        super().__init__(monitor, rule, patience=patience, **options)
        self._training = False

    def before_run(self, runner: Any) -> None:
        """Does nothing: mmengine's own looks at the training loop, which builds it in a test."""

    def before_train_epoch(self, runner: Any) -> None:
        """Continues the count of a resumed run."""
        state = runner.message_hub.runtime_info.get('patience')
        if state is not None:
            self.best_score, self.wait_count = state['best_score'], state['wait_count']
        done = 0 if state is None else state['iter']
        if runner.iter > done and runner.iter % runner.train_loop.val_interval == 0:
            runner.val_loop.run()

    def before_train(self, runner: Any) -> None:
        """Starts to count validations."""
        self._training = True

    def after_train(self, runner: Any) -> None:
        """Stops counting: a later validation is of the final model."""
        self._training = False

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Counts the validation, and ends the run when the patience is used up."""
        if not self._training:
            return
        super().after_val_epoch(runner, metrics)
        state = dict(best_score=self.best_score, wait_count=self.wait_count, iter=runner.iter)
        runner.message_hub.update_info('patience', state)
