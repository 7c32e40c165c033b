"""``adapter.safetensors``: the one file people share.

It holds the trained tensors (method, neck, head). Its metadata holds the config of the model, the
encoder's name and fingerprint, protocol and scores.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from rein_seg.checkpoint.old_files import translate_identity
from rein_seg.checkpoint.strict import tensors_sha256
from rein_seg.checkpoint.write import atomic_path
from rein_seg.errors import UserError
from rein_seg.version import __version__

FORMAT = 'rein_seg-adapter/2'
_FIRST_FORMAT = 'rein_seg-adapter/1'


@dataclass(frozen=True)
class Adapter:
    """Tensors by name, and the metadata of their file."""

    tensors: dict[str, Tensor]
    metadata: dict[str, Any]


def save_adapter(
    path: str | os.PathLike, model: nn.Module, metadata: Mapping[str, Any]
) -> dict[str, int]:
    """Writes the state dict of ``model``, which leaves frozen tensors out.

    Args:
        path: File to write, atomically.
        model: The segmentor.
        metadata: Values that JSON can hold: at least ``method``, ``encoder`` and ``num_classes``.

    Returns:
        ``bytes`` of the file and ``tensor_bytes`` of its tensors.

    Example:
        >>> from torch import nn
        >>> from rein_seg.checkpoint import save_adapter
        >>> identity = dict(method={'type': 'LoRA'}, encoder={'name': 'toy'}, num_classes=2)
        >>> save_adapter('adapter.safetensors', nn.Linear(3, 2), identity)['tensor_bytes']
        32
    """
    tensors = {
        name: t.detach().cpu().clone().contiguous() for name, t in model.state_dict().items()
    }
    content = {
        'format': FORMAT,
        'version': __version__,
        'sha256': tensors_sha256(tensors),
        **metadata,
    }
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={k: json.dumps(v) for k, v in content.items()})
    size = sum(t.numel() * t.element_size() for t in tensors.values())
    return {'bytes': Path(path).stat().st_size, 'tensor_bytes': size}


def read_adapter(path: str | os.PathLike) -> Adapter:
    """Reads an adapter file and checks its fingerprint.

    Raises:
        UserError: If the file is missing, truncated, not an adapter, or changed after it was
            written.

    Example:
        >>> from torch import nn
        >>> from rein_seg.checkpoint import read_adapter, save_adapter
        >>> _ = save_adapter('adapter.safetensors', nn.Linear(3, 2), {'num_classes': 2})
        >>> adapter = read_adapter('adapter.safetensors')
        >>> sorted(adapter.tensors), adapter.metadata['format'], adapter.metadata['num_classes']
        (['bias', 'weight'], 'rein_seg-adapter/2', 2)
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f'adapter {str(path)!r} does not exist; give the path of a file')
    try:
        with safe_open(path, framework='pt') as file:
            metadata = {k: json.loads(v) for k, v in (file.metadata() or {}).items()}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, json.JSONDecodeError) as error:
        raise UserError(
            f'adapter {str(path)!r} is truncated or damaged ({error}); copy or download it again'
        ) from error
    if metadata.get('format') not in (FORMAT, _FIRST_FORMAT):
        raise UserError(
            f'{str(path)!r} is not an adapter file: its metadata says '
            f'format={metadata.get("format")!r}, expected {FORMAT!r}'
        )
    if tensors_sha256(tensors) != metadata.get('sha256'):
        raise UserError(
            f'adapter {str(path)!r} was changed after it was written: the SHA-256 of its tensors '
            'differs from its metadata; get it again from its source'
        )
    if metadata['format'] == _FIRST_FORMAT:
        metadata = translate_identity(metadata)
    return Adapter(tensors, metadata)
