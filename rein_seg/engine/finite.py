"""Stops a run at the first loss or gradient that is not finite; logs the gradients' norm."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from mmengine import dist
from mmengine.hooks import Hook
from torch import Tensor, nn

from rein_seg.checkpoint.tensors import not_finite
from rein_seg.engine.adversarial_optim import each_wrapper
from rein_seg.engine.batch_file import save_batch
from rein_seg.errors import NotFinite

_SHOWN = 3  # names in a message


class Step(NamedTuple):
    """A forward and backward pass. With accumulated gradients an update has several.

    Attributes:
        iteration: Finished iterations before it.
        batch: From the data loader.
        losses: Name -> mean.
    """

    iteration: int
    batch: Any
    losses: dict[str, Tensor]


class FiniteHook(Hook):
    """Checks losses and gradients before each update of the optimizer.

    The check takes two numbers from the GPU, at once. Where nothing clips the gradients, it also
    logs their norm, ``grad_norm``; clipping logs its own. All processes stop together. Parameters
    stay as they were before the update, and so do the checkpoints.
    """

    def __init__(self) -> None:
        self.window: list[Step] = []
        self._batch: tuple[int, Any] = (0, None)

    def before_train(self, runner: Any) -> None:
        """Has model and optimizer report losses and updates."""
        runner.bare_model.register_forward_hook(self._note)
        for name, wrapper in each_wrapper(runner.optim_wrapper).items():
            norm = 'critic_grad_norm' if name == 'critic' else 'grad_norm'
            wrapper.optimizer.register_step_pre_hook(
                partial(self._check_before, runner, wrapper, norm)
            )

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Keeps the batch until the update."""
        self._batch = (runner.iter, data_batch)

    def _note(self, model: nn.Module, inputs: Any, output: Any) -> None:
        if model.training and isinstance(output, Mapping):
            self.window.append(Step(*self._batch, dict(mean_losses(output))))

    def _check_before(self, runner: Any, wrapper: Any, norm_name: str, *unused: Any) -> None:
        named = {n: p.grad for n, p in runner.bare_model.named_parameters() if p.grad is not None}
        losses = [loss for step in self.window for loss in step.losses.values()]
        clipped = _clipped_norm(runner, wrapper)
        if clipped:  # gradients as clipping left them; it has logged their norm
            finite, _ = _look(losses + clipped, _norms(list(named.values()), math.inf))
        else:
            finite, norm = _look(losses, _norms(list(named.values()), 2))
            if finite and named:
                runner.message_hub.update_scalar(f'train/{norm_name}', norm)
            elif not finite:  # squares overflow before gradients do
                finite, _ = _look(losses, _norms(list(named.values()), math.inf))
        if _on_all(finite):
            self.window.clear()
            return
        self._stop(runner, named)

    def _stop(self, runner: Any, gradients: Mapping[str, Tensor]) -> None:
        bad = next((step for step in self.window if not_finite(step.losses)), None)
        step = bad or self.window[-1]
        fault = _describe(step.losses if bad else gradients, 'loss' if bad else 'gradient')
        place = 'no batch was saved by this process'
        if bad or dist.is_main_process():
            path = save_batch(runner, step)
            place = f'see its batch with rein-seg train CONFIG --replay {path}'
        raise NotFinite(
            f'iteration {step.iteration + 1}: {fault}; the parameters were not updated; {place}; '
            'begin a run with a lower optim_wrapper.optimizer.lr, or without --amp'
        )


def mean_losses(output: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """Yields name and mean of each loss in the output of a model.

    Example:
        >>> import torch
        >>> from rein_seg.engine.finite import mean_losses
        >>> dict(mean_losses({'loss_ce': torch.tensor([1.0, 3.0]), 'loss_aux': [torch.ones(1)]}))
        {'loss_ce': tensor(2.), 'loss_aux': tensor(1.)}
    """
    for name, value in output.items():
        if 'loss' in name:
            parts = value if isinstance(value, Sequence) else [value]
            yield name, sum(part.detach().mean() for part in parts)


def _norms(gradients: Sequence[Tensor], order: float) -> list[Tensor]:
    filled = [gradient for gradient in gradients if gradient.numel()]
    return list(torch._foreach_norm(filled, order)) if filled else []


def _look(others: Sequence[Tensor], norms: Sequence[Tensor]) -> tuple[bool, float]:
    """Returns whether all values are finite, and the norm of the norms, in one transfer."""
    device = [*others, *norms][0].device
    flat = torch.stack([value.to(device, torch.float32) for value in (*others, *norms)])
    total = flat[len(others) :].norm()
    finite, norm = torch.stack([flat.isfinite().all().float(), total]).tolist()
    return bool(finite), norm


def _clipped_norm(runner: Any, wrapper: Any) -> list[Tensor]:
    """Returns the norm that clipping divides by: infinite, it makes all gradients 0."""
    if not getattr(wrapper, 'clip_grad_kwargs', None):
        return []
    history = runner.message_hub.log_scalars.get(f'train/{wrapper.grad_name}')
    return [] if history is None else [torch.tensor(history.current())]


def _on_all(finite: bool) -> bool:
    if dist.get_world_size() == 1:
        return finite
    flag = torch.tensor(int(finite), device=dist.get_comm_device())
    dist.all_reduce(flag, op='min')
    return bool(flag)


def _describe(tensors: Mapping[str, Tensor], kind: str) -> str:
    names = not_finite(tensors)
    if not names:
        return 'the norm of the gradients, or a loss on another process, is not finite'
    more = f' and {len(names) - _SHOWN} more' if len(names) > _SHOWN else ''
    texts = [f'{n} is {float(tensors[n]):g}' if kind == 'loss' else n for n in names[:_SHOWN]]
    if kind == 'loss':
        return f'{", ".join(texts)}{more}'
    return f'the gradient of {", ".join(texts)}{more} is not finite'
