"""Stops a run after a signal, with a checkpoint to go on from."""

from __future__ import annotations

from typing import Any

import torch
from mmengine import dist
from mmengine.hooks import Hook

from rein_seg.engine.checkpoint_hook import CheckpointHook
from rein_seg.engine.ema import TrainableEMAHook
from rein_seg.signals import StopRequest

_GPU_EVERY = 10  # iterations between two agreements: each waits for the GPU


class StopHook(Hook):
    """Saves a checkpoint when a signal has asked the run to stop, and ends the run.

    It stops at the end of an optimizer step, or after a batch of a validation. Several processes
    agree after each step (on GPUs after every tenth step), since the signal reaches them in
    different iterations.

    Args:
        request: Of the signal.
    """

    priority = 'LOWEST'  # after the hook that saves checkpoints

    def __init__(self, request: StopRequest) -> None:
        self.request = request
        self._training = False

    def before_train(self, runner: Any) -> None:
        """From now on there is a state to save."""
        self._training = True

    def after_train(self, runner: Any) -> None:
        """The last checkpoint is written: a later signal may end the run at once."""
        self._training = False

    def after_train_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        """Stops if all processes are asked to, or one of them."""
        if runner.optim_wrapper.should_update() and self._agreed(runner.iter + 1):
            self._stop(runner, runner.iter + 1)

    def after_val_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        """Stops a validation in the middle; its iteration is done."""
        if self._training and self.request.number:
            for hook in runner.hooks:
                if isinstance(hook, TrainableEMAHook):
                    hook.after_val_epoch(runner)  # puts the trained parameters back
            self._stop(runner, runner.iter)

    def _agreed(self, iteration: int) -> bool:
        if dist.get_world_size() == 1:
            return bool(self.request.number)
        if dist.get_backend() != 'gloo' and iteration % _GPU_EVERY:
            return False
        number = torch.tensor(self.request.number)
        dist.all_reduce(number, op='max')
        self.request.number = int(number)
        return bool(self.request.number)

    def _stop(self, runner: Any, iteration: int) -> None:
        hook = next((hook for hook in runner.hooks if isinstance(hook, CheckpointHook)), None)
        if hook is None:
            raise self.request.error('the run saves no checkpoints (default_hooks.checkpoint)')
        raise self.request.error(f'saved {hook.save_now(runner, iteration)}; go on with --resume')
