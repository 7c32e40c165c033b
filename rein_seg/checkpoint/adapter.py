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

from rein_seg.checkpoint.official import is_official, load_official
from rein_seg.checkpoint.old_files import translate_identity
from rein_seg.checkpoint.read import state_dict_of
from rein_seg.checkpoint.strict import load_strict, tensors_sha256
from rein_seg.checkpoint.write import atomic_path
from rein_seg.errors import UserError
from rein_seg.version import __version__

FORMAT = 'rein_seg-adapter/2'
_FIRST_FORMAT = 'rein_seg-adapter/1'
IDENTITY_FORMAT = 2  # of checkpoints; files without the key are of format 1
# an adapter and its model must have these in common; values: their names in messages
IDENTITY = {'method': 'PEFT method', 'num_classes': 'number of classes', 'encoder': 'encoder'}


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
            'is not the one in its metadata; get it again from its source'
        )
    if metadata['format'] == _FIRST_FORMAT:
        metadata = translate_identity(metadata)
    return Adapter(tensors, metadata)


def check_identity(made: Mapping[str, Any], given: Mapping[str, Any], *, source: str) -> None:
    """Checks that weights were made for the model they go into.

    Args:
        made: ``method``, ``encoder`` and ``num_classes`` in the file.
        given: ``method``, ``encoder`` and ``num_classes`` of the model.
        source: The file, for messages.

    Raises:
        UserError: If they differ; the message names the first difference.

    Example:
        >>> from rein_seg.checkpoint.adapter import check_identity
        >>> made = dict(method={'type': 'LoRA', 'rank': 4}, encoder={'name': 'toy'}, num_classes=2)
        >>> check_identity(made, made, source='adapter')
        >>> check_identity(made, {**made, 'num_classes': 19}, source='adapter')
        Traceback (most recent call last):
        rein_seg.errors.UserError: adapter was made for another number of classes: it says
        num_classes=2, the config gives 19; use the config it was trained with
    """
    for key, name in IDENTITY.items():
        theirs, ours = _flat(made.get(key), key), _flat(given[key], key)
        for part in sorted(theirs | ours):
            a, b = theirs.get(part), ours.get(part)
            if a != b:
                raise UserError(
                    f'{source} was made for another {name}: it says {part}={a!r}, the config gives '
                    f'{b!r}; use the config it was trained with'
                )


def load_checkpoint(checkpoint: Mapping[str, Any], model: nn.Module, *, source: str) -> str:
    """Loads the content of a checkpoint into a model; returns the coverage report.

    Checkpoints of the official Rein repository are taken, too: see `load_official`.

    Args:
        checkpoint: From `read_checkpoint`.
        model: The segmentor.
        source: Path of the file, for messages.

    Raises:
        UserError: If it was made for another model. Files of other programs carry no identity;
            only their tensors are compared.
    """
    meta = checkpoint.get('meta')
    if isinstance(meta, Mapping) and 'identity' in meta:
        made = meta['identity']
        if 'identity_format' not in meta:
            made = translate_identity(made)
        check_identity(made, model.identity, source=f'checkpoint {source!r}')
    state = state_dict_of(checkpoint, source)
    if is_official(state):
        return load_official(state, model, source=source)
    return load_strict(model, state, what='checkpoint', source=source)


def _flat(value: Any, name: str) -> dict[str, Any]:
    """Returns dotted names -> JSON values."""
    value = json.loads(json.dumps(value, default=str))
    if not isinstance(value, dict):
        return {name: value}
    return {k: v for key, part in value.items() for k, v in _flat(part, f'{name}.{key}').items()}


def load_adapter(path: str | os.PathLike, model: nn.Module, identity: Mapping[str, Any]) -> str:
    """Loads an adapter into a model it was made for.

    Args:
        path: The adapter file.
        model: The segmentor.
        identity: ``method``, ``encoder`` and ``num_classes`` of the model.

    Returns:
        The coverage report.

    Raises:
        UserError: If the adapter was made for another encoder, method or class count.

    Example:
        >>> from torch import nn
        >>> from rein_seg.checkpoint import load_adapter, save_adapter
        >>> identity = dict(method={'type': 'LoRA'}, encoder={'name': 'toy'}, num_classes=2)
        >>> _ = save_adapter('adapter.safetensors', nn.Linear(3, 2), identity)
        >>> load_adapter('adapter.safetensors', nn.Linear(3, 2), identity)
        'adapter from adapter.safetensors: 2/2 tensors, 0 unexpected'
    """
    adapter = read_adapter(path)
    check_identity(adapter.metadata, identity, source=f'adapter {str(path)!r}')
    return load_strict(model, adapter.tensors, what='adapter', source=str(path))
