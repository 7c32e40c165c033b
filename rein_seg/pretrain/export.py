"""Writes the pretrained encoder as a small weights file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from rein_seg.checkpoint import atomic_path


def export_tensors(
    tensors: Mapping[str, Tensor], path: str | Path, *, settings: Any, steps: int
) -> str:
    """Writes tensors, floats in half precision, with the settings of the run.

    Args:
        tensors: Tensors by name.
        path: A ``.safetensors`` file.
        settings: Settings of the run, a data class.
        steps: Number of steps made so far.

    Returns:
        SHA-256 of the file.

    Example:
        >>> import torch
        >>> from safetensors.torch import load_file
        >>> from rein_seg.pretrain import BUDGETS
        >>> from rein_seg.pretrain.export import export_tensors
        >>> digest = export_tensors(torch.nn.Linear(2, 1).state_dict(), 'w.safetensors',
        ...                         settings=BUDGETS['smoke'], steps=6)
        >>> load_file('w.safetensors')['weight'].dtype, len(digest)
        (torch.float16, 64)
    """
    small = {
        name: (x.half() if x.is_floating_point() else x).detach().cpu().contiguous()
        for name, x in tensors.items()
    }
    made = json.dumps({'settings': asdict(settings), 'steps': steps}, sort_keys=True)
    with atomic_path(path) as temporary:
        save_file(small, temporary, metadata={'pretraining': made})
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
