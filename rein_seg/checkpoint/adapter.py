"""``adapter.safetensors``: the one file people share.

It holds the trained tensors (method, neck, head). Its metadata holds the config of the model, the
encoder's name and fingerprint, protocol and scores.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor, nn

from rein_seg.checkpoint.old_files import translate_identity
from rein_seg.checkpoint.safetensors_file import parse_json, read_safetensors
from rein_seg.checkpoint.schema import ADAPTER, check_rules, check_training
from rein_seg.checkpoint.strict import tensors_sha256
from rein_seg.checkpoint.tensors import refuse_to_save, shown
from rein_seg.checkpoint.write import atomic_path
from rein_seg.errors import NotFinite, UserError
from rein_seg.version import __version__

FORMAT = 'rein_seg-adapter/2'
_FIRST_FORMAT = 'rein_seg-adapter/1'
_DIGEST = 'metadata_sha256'  # of all other entries; files of 0.1.0 lack it


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
    return write_adapter(path, model.state_dict(), metadata)


def write_adapter(
    path: str | os.PathLike, state: Mapping[str, Tensor], metadata: Mapping[str, Any]
) -> dict[str, int]:
    """Writes tensors and metadata as an adapter file; see `save_adapter`."""
    tensors = {name: t.detach().cpu().clone().contiguous() for name, t in state.items()}
    refuse_to_save(tensors, path)
    content = {
        'format': FORMAT,
        'version': __version__,
        'sha256': tensors_sha256(tensors),
        **metadata,
    }
    texts = {key: _as_json(key, value, path) for key, value in content.items()}
    texts[_DIGEST] = metadata_sha256(texts)
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata=texts)
    size = sum(t.numel() * t.element_size() for t in tensors.values())
    return {'bytes': Path(path).stat().st_size, 'tensor_bytes': size}


def read_adapter(path: str | os.PathLike) -> Adapter:
    """Reads an adapter file and checks its fingerprint.

    Raises:
        UserError: If the file is missing, truncated, not an adapter, or changed after it was
            written, or an entry of its metadata is of a wrong type.

    Example:
        >>> from torch import nn
        >>> from rein_seg.checkpoint import read_adapter, save_adapter
        >>> _ = save_adapter('adapter.safetensors', nn.Linear(3, 2), {'num_classes': 2})
        >>> adapter = read_adapter('adapter.safetensors')
        >>> sorted(adapter.tensors), adapter.metadata['format'], adapter.metadata['num_classes']
        (['bias', 'weight'], 'rein_seg-adapter/2', 2)
    """
    place = f'adapter {str(path)!r}'
    tensors, texts = read_safetensors(path, 'adapter')
    if texts.get('format') not in (json.dumps(FORMAT), json.dumps(_FIRST_FORMAT)):
        raise UserError(
            f'{str(path)!r} is not an adapter file: its metadata says '
            f'format={shown(texts.get("format"))}, expected {FORMAT!r}'
        )
    metadata = _read_metadata(texts, place)
    if tensors_sha256(tensors) != metadata.get('sha256'):
        raise UserError(
            f'adapter {str(path)!r} was changed after it was written: the SHA-256 of its tensors '
            'differs from its metadata; get it again from its source'
        )
    if metadata['format'] == _FIRST_FORMAT:
        metadata = translate_identity(metadata)
    return Adapter(tensors, metadata)


def _as_json(key: str, value: Any, path: str | os.PathLike) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError as error:
        raise NotFinite(
            f'{str(path)!r} is not written: {key!r} of its metadata holds NaN or infinite values, '
            'expected numbers; leave them out, or give None'
        ) from error


def metadata_sha256(texts: Mapping[str, str]) -> str:
    """Returns the SHA-256, as JSON, of all entries of the metadata but its own.

    Example:
        >>> from rein_seg.checkpoint.adapter import metadata_sha256
        >>> texts = {'num_classes': '19'}
        >>> metadata_sha256(texts) == metadata_sha256({**texts, 'metadata_sha256': '"0"'})
        True
    """
    others = sorted((key, text) for key, text in texts.items() if key != _DIGEST)
    return json.dumps(hashlib.sha256(json.dumps(others).encode()).hexdigest())


def _read_metadata(texts: Mapping[str, str], place: str) -> dict[str, Any]:
    """Returns the values of the metadata, after checking their types."""
    if texts.get(_DIGEST, metadata_sha256(texts)) != metadata_sha256(texts):
        raise UserError(
            f'{place} was changed after it was written: the SHA-256 of its metadata differs from '
            'the entry that says it; get it again from its source'
        )
    metadata = {}
    for key, text in texts.items():
        try:
            metadata[key] = parse_json(text)
        except ValueError as error:
            raise UserError(
                f'{place} is truncated or damaged: metadata {shown(key)!r} is no JSON '
                f'({shown(error)}); copy or download it again'
            ) from error
    check_rules(metadata, ADAPTER, f'{place}: metadata.')
    if metadata.get('training') is not None:
        check_training(metadata['training'], f'{place}: metadata.training.')
    return metadata
