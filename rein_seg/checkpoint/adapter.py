"""``adapter.safetensors``: the one file people share.

It holds the tensors that training made (method, neck, head) and, in its metadata, what they need:
the config of the model, the encoder's name and fingerprint, protocol and scores.
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

from rein_seg.checkpoint.io import atomic_path, state_dict_of
from rein_seg.checkpoint.official import is_official, load_official
from rein_seg.checkpoint.old_files import translate_identity
from rein_seg.checkpoint.strict import load_strict, tensors_sha256
from rein_seg.errors import UserError
from rein_seg.version import __version__

FORMAT = 'rein_seg-adapter/2'
_FIRST_FORMAT = 'rein_seg-adapter/1'
IDENTITY_FORMAT = 2  # of checkpoints; files without the key are of format 1
# what an adapter must share with the model it goes into, and how to call it in a message
IDENTITY = {'method': 'PEFT method', 'num_classes': 'number of classes', 'encoder': 'encoder'}


@dataclass(frozen=True)
class Adapter:
    """Tensors by name, and what the file says about them."""

    tensors: dict[str, Tensor]
    metadata: dict[str, Any]


def save_adapter(
    path: str | os.PathLike, model: nn.Module, metadata: Mapping[str, Any]
) -> dict[str, int]:
    """Writes the tensors of ``model`` (its state dict, which leaves frozen ones out).

    Args:
        path: File to write, atomically.
        model: The segmentor.
        metadata: JSON-able content: at least ``method``, ``encoder`` and ``num_classes``.

    Returns:
        ``bytes`` of the file and ``tensor_bytes`` of its tensors.
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
        UserError: If the file is missing, truncated, not an adapter, or its tensors are not those
            it was written with.
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
        made: ``method``, ``encoder`` and ``num_classes`` that the file names.
        given: Those of the model.
        source: The file, for messages.

    Raises:
        UserError: If they differ; the message says in what.
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
    """Loads a checkpoint that was read into a model; returns the coverage report.

    Checkpoints of the official Rein repository are taken too: see `load_official`.

    Raises:
        UserError: If it was made for another model. Files of others carry no identity: there the
            tensors alone are compared.
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
        identity: What the model is: ``method``, ``encoder``, ``num_classes``.

    Returns:
        The coverage report.

    Raises:
        UserError: If the adapter was made for another encoder, method or class count.
    """
    adapter = read_adapter(path)
    check_identity(adapter.metadata, identity, source=f'adapter {str(path)!r}')
    return load_strict(model, adapter.tensors, what='adapter', source=str(path))
