"""Pretrains TinyCLIP with captions and writes its weights file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rein_seg.pretrain.captions.lexicon import WORDS
from rein_seg.pretrain.captions.loop import CaptionTraining
from rein_seg.pretrain.captions.model import TwoTowers
from rein_seg.pretrain.captions.settings import chosen
from rein_seg.pretrain.captions.stream import batches
from rein_seg.pretrain.run import run_recipe
from rein_seg.text.tokens import WordTokenizer

FILE = 'tinyclip.safetensors'


def pretrain_clip(
    work_dir: str | os.PathLike[str],
    *,
    budget: str = 'full',
    resume: bool = False,
    device: str | None = None,
    workers: int | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Pretrains TinyCLIP with captions of random streets under random looks.

    Args:
        work_dir: Folder of checkpoints, loss curve and the weights file, tinyclip.safetensors.
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
        Path(work_dir) / FILE,
        CaptionTraining,
        batches,
        file_tensors,
        resume=resume,
        device=device,
        workers=workers,
    )


def file_tensors(model: TwoTowers) -> dict[str, Any]:
    """Returns the tensors of a file: image tower, text tower under OpenAI's names, words."""
    image = {f'visual.{name}': x for name, x in model.encoder.state_dict().items()}
    words = WordTokenizer(WORDS).as_tensor()
    return {**image, **model.text.state_dict(), 'logit_scale': model.logit_scale, 'words': words}
