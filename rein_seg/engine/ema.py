"""A moving average of the trainable parameters."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.hooks import Hook
from mmseg.registry import HOOKS
from torch import Tensor, nn

from rein_seg.checkpoint.strict import check_fit
from rein_seg.errors import UserError

RAW = 'raw_state_dict'


@HOOKS.register_module()
class TrainableEMAHook(Hook):
    """Keeps an exponential moving average of the trainable parameters, and evaluates with it.

    The average starts as a copy of the parameters after ``begin`` updates of the optimizer, which
    are iterations unless gradients are accumulated. Each later update moves it:
    average += momentum (parameters - average). Validation and test use the average. At
    the end of training it replaces the parameters, so that the adapter file holds the weights that
    were scored. A checkpoint has the average in ``state_dict`` and the parameters in
    ``raw_state_dict``; resuming reads both. Buffers are not averaged. Every rank computes the same
    average from the same parameters.

    mmengine's `EMAHook` copies the whole model with its frozen encoder, and forgets the average
    when a run resumes.

    Args:
        momentum: Weight of the parameters in each step, 0..1.
        begin: Updates of the optimizer before the average starts.

    Raises:
        UserError: If ``momentum`` or ``begin`` is out of range, the run is not longer than
            ``begin``, or the checkpoint to resume from lacks an average that had started.

    Example:
        >>> from types import SimpleNamespace
        >>> import torch
        >>> from rein_seg.engine import TrainableEMAHook
        >>> from mmengine.optim import OptimWrapper
        >>> hook, model = TrainableEMAHook(momentum=0.5), torch.nn.Linear(1, 1, bias=False)
        >>> wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1.0))
        >>> for step, value in enumerate([0.0, 4.0]):
        ...     _ = torch.nn.init.constant_(model.weight, value)
        ...     runner = SimpleNamespace(iter=step, bare_model=model, optim_wrapper=wrapper)
        ...     hook.after_train_iter(runner, batch_idx=step)
        >>> hook.averages['weight'].item()
        2.0
    """

    # before CheckpointHook, which saves both
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
        """Checks that an average will start, and that a resumed run has loaded its average."""
        last = updates(runner, runner.max_iters)
        if self.begin >= last:
            raise UserError(
                f'ema begins at update {self.begin} of the optimizer, the run ends at {last}: '
                f'train longer, or set ema.begin to less than that, or ema=None'
            )
        if updates(runner, runner.iter) >= max(self.begin, 1) and not self.averages:
            raise UserError(
                f'ema began at update {self.begin}, but the checkpoint of iteration '
                f'{runner.iter} holds no average: resume with ema=None, as the run was started'
            )

    @torch.no_grad()
    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Starts the average, or moves it."""
        if not runner.optim_wrapper.should_update():  # gradients are being accumulated
            return
        if updates(runner, runner.iter + 1) < self.begin:
            return
        params = trainable(runner.bare_model)
        if not self.averages:
            self.averages = {name: p.detach().clone() for name, p in params.items()}
            return
        # one kernel for all tensors
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
        """Replaces the parameters by the average: the run ends with it."""
        for name, param in trainable(runner.bare_model).items():
            if name in self.averages:
                param.copy_(self.averages[name])
        self.averages, self._finished = {}, True

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Saves the average as ``state_dict``, and the parameters as ``raw_state_dict``."""
        if not self.averages:
            return
        state = checkpoint['state_dict']
        checkpoint[RAW] = {name: state[name] for name in self.averages}
        state.update({name: average.cpu() for name, average in self.averages.items()})

    def after_load_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Reads average and parameters of the run that resumes."""
        raw = checkpoint.get(RAW)
        if raw is None or not runner._resume or self._finished:
            return  # loaded to test: with the average, which is in the state dict
        state, params = checkpoint['state_dict'], trainable(runner.bare_model)
        given = {name: state[name] for name in raw if name in state}
        check_fit(params, given, what='average', source=RAW)
        self.averages = {
            name: given[name].to(param.device, copy=True) for name, param in params.items()
        }
        checkpoint['state_dict'] = {**state, **raw}

    @torch.no_grad()
    def _swap(self, runner: Any) -> None:
        params = trainable(runner.bare_model)
        for name, average in self.averages.items():
            param = params[name]
            # in place: the optimizer holds these parameters
            kept = param.detach().clone()
            param.copy_(average)
            average.copy_(kept)


def updates(runner: Any, iterations: int) -> int:
    """Returns the number of updates of the optimizer in so many iterations from the beginning."""
    return -(-iterations // runner.optim_wrapper._accumulative_counts)


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Returns the trainable parameters by name.

    Example:
        >>> import torch
        >>> from rein_seg.engine.ema import trainable
        >>> model = torch.nn.Linear(2, 2)
        >>> _ = model.weight.requires_grad_(False)
        >>> list(trainable(model))
        ['bias']
    """
    return {name: param for name, param in model.named_parameters() if param.requires_grad}
