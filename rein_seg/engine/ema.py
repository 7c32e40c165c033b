"""A moving average of what trains, and of nothing else."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.hooks import Hook
from mmseg.registry import HOOKS
from torch import Tensor, nn

from rein_seg.errors import UserError

_RAW = 'raw_state_dict'


@HOOKS.register_module()
class TrainableEMAHook(Hook):
    """Keeps the exponential moving average of the trainable parameters, and evaluates with it.

    After `begin` iterations the average is the parameters; each later iteration moves it,
    average += momentum (parameters - average). Validation and test see the average, and at the end
    of training it becomes the parameters, so that the adapter holds what was scored. A checkpoint
    has the average in ``state_dict`` and the parameters in ``raw_state_dict``; resuming takes both.
    Buffers are not averaged. Every rank computes the same average from the same parameters.

    mmengine's `EMAHook` copies the whole model, frozen encoder included, and after resuming
    averages from a state without it.

    Args:
        momentum: 0..1, the share of the parameters in each step.
        begin: Iterations before the average begins.

    Raises:
        UserError: If momentum or begin are out of range, the run is shorter than ``begin``, or the
            run to resume had begun to average and kept nothing.
    """

    # before CheckpointHook, which is to save the parameters that trained
    priority = 'NORMAL'

    def __init__(self, momentum: float = 0.0002, begin: int = 0) -> None:
        if not 0 < momentum < 1 or begin < 0:
            raise UserError(
                f'ema: momentum={momentum}, begin={begin}; expected 0 < momentum < 1 and begin >= 0'
            )
        self.momentum = momentum
        self.begin = begin
        self.averages: dict[str, Tensor] = {}
        self._finished = False

    def before_train(self, runner: Any) -> None:
        """Checks that there will be an average, and that a resumed run brought its own."""
        if self.begin >= runner.max_iters:
            raise UserError(
                f'ema begins at iteration {self.begin}, the run ends at {runner.max_iters}: train '
                f'longer, or set ema.begin to less than that, or ema=None'
            )
        if runner.iter >= max(self.begin, 1) and not self.averages:
            raise UserError(
                f'ema began at iteration {self.begin}, but the checkpoint of iteration '
                f'{runner.iter} holds no average: resume with ema=None, as the run was begun'
            )

    @torch.no_grad()
    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Moves the average, or begins it."""
        if runner.iter + 1 < self.begin:
            return
        params = trainable(runner.bare_model)
        if not self.averages:
            self.averages = {name: p.detach().clone() for name, p in params.items()}
            return
        torch._foreach_lerp_(
            list(self.averages.values()), [p.detach() for p in params.values()], self.momentum
        )

    def before_val_epoch(self, runner: Any) -> None:
        """Puts the average into the model."""
        self._swap(runner)

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Puts the parameters back."""
        self._swap(runner)

    before_test_epoch = before_val_epoch
    after_test_epoch = after_val_epoch

    @torch.no_grad()
    def after_train(self, runner: Any) -> None:
        """Makes the average the parameters: they are what the run leaves."""
        for name, param in trainable(runner.bare_model).items():
            if name in self.averages:
                param.copy_(self.averages[name])
        self.averages, self._finished = {}, True

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Saves the average as the model's state, the parameters beside it."""
        if not self.averages:
            return
        state = checkpoint['state_dict']
        checkpoint[_RAW] = {name: state[name] for name in self.averages}
        state.update({name: average.cpu() for name, average in self.averages.items()})

    def after_load_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Takes average and parameters of the run that goes on."""
        raw = checkpoint.get(_RAW)
        if raw is None or not runner._resume or self._finished:
            return  # the average alone is wanted
        state, params = checkpoint['state_dict'], trainable(runner.bare_model)
        self.averages = {
            name: state[name].to(param.device, copy=True)
            for name, param in params.items()
            if name in raw
        }
        checkpoint['state_dict'] = {**state, **raw}

    @torch.no_grad()
    def _swap(self, runner: Any) -> None:
        params = trainable(runner.bare_model)
        for name, average in self.averages.items():
            param = params[name]
            kept = param.detach().clone()
            param.copy_(average)
            average.copy_(kept)


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Returns what trains, by name."""
    return {name: param for name, param in model.named_parameters() if param.requires_grad}
