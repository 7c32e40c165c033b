"""Repeats the training step that stopped a run, and names the first layer that fails."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.checkpoint import load_checkpoint
from rein_seg.checkpoint.tensors import not_finite
from rein_seg.config.request import Request
from rein_seg.config.resolve import resolve
from rein_seg.datasets.sampling.stream import seed_everything, stream_seed
from rein_seg.engine.batch_file import read_batch
from rein_seg.engine.finite import mean_losses
from rein_seg.errors import NotFinite


def replay(cfg: Config, path: str, *, amp: bool = False) -> dict[str, float]:
    """Repeats forward and backward pass of a saved batch.

    Args:
        cfg: From `load_config`: of the run, or changed, to see whether the change helps.
        path: ``not_finite_iter_N.pth`` of the run.
        amp: bfloat16 autocast, as in training.

    Returns:
        Name -> loss, if losses and gradients are finite with this config.

    Raises:
        UserError: If the file holds no batch, or is of another model.
        NotFinite: If they are not; it names the first layer, the losses and the gradients.
    """
    cfg = resolve(cfg, Request(weights_given=True)).cfg
    checkpoint, batch = read_batch(path)
    model = MODELS.build(cfg.model)
    model.build_training_parts()
    load_checkpoint(checkpoint, model, source=path)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    model = model.to(device).train()
    first = _watch(model)
    seed_everything(stream_seed(batch['seed'], batch['position']))
    with torch.autocast(device, dtype=torch.bfloat16, enabled=amp):
        inputs = dict(inputs=batch['inputs'], data_samples=batch['samples'])
        losses = dict(model.step_losses(**model.data_preprocessor(inputs, True)))
    total, _ = model.parse_losses(losses)
    total.backward()
    means = dict(mean_losses(losses))
    gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    faults = [*first[:1]]
    faults += [f'{name} is {float(means[name]):g}' for name in not_finite(means)]
    faults += [f'the gradient of {name} is not finite' for name in not_finite(gradients)[:3]]
    if faults:
        raise NotFinite(f'{path}: {"; ".join(faults)}')
    result = {name: float(value) for name, value in means.items()}
    print_log(f'{path}: losses and gradients are finite: {result}', logger='current')
    return result


def _watch(model: nn.Module) -> list[str]:
    """Returns a list that gets the names of layers whose output is not finite."""
    found: list[str] = []

    def note(name: str, output: Any) -> None:
        tensors = [output] if isinstance(output, Tensor) else output
        if isinstance(tensors, (list, tuple)):
            kept = {str(i): x for i, x in enumerate(tensors) if isinstance(x, Tensor)}
            if not_finite(kept):
                found.append(f'the output of {name} is not finite')

    for name, module in model.named_modules():
        if not any(module.children()):
            module.register_forward_hook(lambda _, __, output, name=name: note(name, output))
    return found
