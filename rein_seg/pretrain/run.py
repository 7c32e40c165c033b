"""Pretrains the small encoder and writes its weights file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from rein_seg.checkpoint import write_json
from rein_seg.errors import UserError
from rein_seg.fast.onednn_matmul import onednn
from rein_seg.pretrain.export import export_encoder
from rein_seg.pretrain.loop import run_pretraining
from rein_seg.pretrain.settings import chosen
from rein_seg.pretrain.training import Training

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
    settings = chosen(budget, **changes)
    device, workers = device_and_workers(device, workers)
    folder = Path(work_dir)
    with onednn(False):  # the weights in the package were made without: reproduces their bits
        training = run_pretraining(settings, folder, resume=resume, device=device, workers=workers)
    digest = export_encoder(
        training.model.encoder, folder / WEIGHTS, settings=settings, steps=training.done
    )
    return describe(training, folder / WEIGHTS, digest)


def describe(training: Training, weights: Path, digest: str) -> dict[str, Any]:
    """Returns, and writes beside the weights, what a pretraining has made.

    Args:
        training: At its end.
        weights: File of the weights.
        digest: Its SHA-256.
    """
    made = dict(
        weights=str(weights),
        sha256=digest,
        steps=training.done,
        loss=training.losses[-1][1] if training.losses else None,
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
