"""Pretrains the small encoder and writes its weights file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rein_seg.checkpoint import write_json
from rein_seg.errors import UserError
from rein_seg.fast.onednn_matmul import onednn
from rein_seg.pretrain.export import export_tensors
from rein_seg.pretrain.loop import Pretraining
from rein_seg.pretrain.settings import chosen
from rein_seg.pretrain.stream import batches
from rein_seg.pretrain.training import Training, run_training

WEIGHTS = 'tiny_vit.safetensors'


def pretrain(
    work_dir: str | os.PathLike[str],
    *,
    budget: str = 'full',
    resume: bool = False,
    device: str | None = None,
    workers: int | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Pretrains TinyViT without labels on random streets under random looks.

    Args:
        work_dir: Folder of checkpoints, loss curve and the weights file, tiny_vit.safetensors.
        budget: One of `BUDGETS`: ``full`` made the weights in the package.
        resume: Whether to resume from the last checkpoint in ``work_dir``.
        device: cpu, cuda, ...; None takes a GPU if there is one.
        workers: Number of processes that draw; None takes 1 on a CPU, all cores but one on a GPU.
        **changes: Settings that replace the budget's; None keeps the budget's.

    Returns:
        ``weights`` (path), ``sha256``, ``steps`` and ``loss``.

    Raises:
        UserError: If a setting is not valid, or ``work_dir`` holds another run.
    """
    return run_recipe(
        chosen(budget, **changes),
        Path(work_dir) / WEIGHTS,
        Pretraining,
        batches,
        lambda model: model.encoder.state_dict(),
        resume=resume,
        device=device,
        workers=workers,
    )


def run_recipe(
    settings: Any,
    weights: Path,
    training: Callable[..., Training],
    stream: Callable[..., Iterable[Any]],
    tensors: Callable[[Any], Mapping[str, Tensor]],
    *,
    resume: bool,
    device: str | None,
    workers: int | None,
) -> dict[str, Any]:
    """Trains a small model to the end and writes its weights; returns what was made.

    Args:
        settings: Settings of the run.
        weights: File of the weights, in the folder of the run.
        training: Class of the training.
        stream: Its batches, of settings, first step and number of processes.
        tensors: Model -> tensors of the file.
        resume: As `pretrain`.
        device: As `pretrain`.
        workers: As `pretrain`.

    Raises:
        UserError: As `pretrain`.
    """
    device, workers = device_and_workers(device, workers)
    with onednn(False):  # the weights in the package were made without: reproduces their bits
        run = training(settings, device=device)
        run_training(
            run,
            lambda done: stream(settings, start=done, workers=workers),
            weights.parent,
            resume=resume,
        )
    digest = export_tensors(tensors(run.model), weights, settings=settings, steps=run.done)
    made = dict(
        weights=str(weights),
        sha256=digest,
        steps=run.done,
        loss=run.losses[-1][1] if run.losses else None,
    )
    write_json(weights.with_name('pretrained.json'), made)
    return made


def device_and_workers(device: str | None, workers: int | None) -> tuple[str, int]:
    """Returns the device and the number of drawing processes of a run; None takes the default.

    Raises:
        UserError: If there is no such device, or the number is negative.
    """
    device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
    if device.startswith('cuda') and not torch.cuda.is_available():
        raise UserError(f'device={device!r}: no GPU was found; use device=cpu')
    if workers is not None and workers < 0:
        raise UserError(f'workers={workers}: expected 0 (no further process) or more; change it')
    if workers is None:
        workers = 1 if device == 'cpu' else max(1, (os.cpu_count() or 2) - 1)
    return device, workers
