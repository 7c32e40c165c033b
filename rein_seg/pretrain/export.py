"""The pretrained encoder as a small weights file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from rein_seg.checkpoint import atomic_path
from rein_seg.pretrain.settings import PretrainSettings


def export_encoder(
    encoder: nn.Module, path: str | Path, *, settings: PretrainSettings, steps: int
) -> str:
    """Writes an encoder's tensors in half precision, with what they were made by.

    Args:
        encoder: The encoder.
        path: A ``.safetensors`` file.
        settings: Of the run.
        steps: Made so far.

    Returns:
        SHA-256 of the file.
    """
    tensors = {
        name: tensor.detach().to('cpu', torch.float16).contiguous()
        for name, tensor in encoder.state_dict().items()
    }
    made = json.dumps({'settings': asdict(settings), 'steps': steps}, sort_keys=True)
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={'pretraining': made})
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
