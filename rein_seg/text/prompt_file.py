"""Learned prompts from the adapter file of their own training, for models that keep them fixed."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from rein_seg.checkpoint import read_adapter, tensors_sha256
from rein_seg.errors import UserError

_PLACE = 'text.'  # start of the names of a model's text branch
_DIGEST = re.compile(r'sha256:[0-9a-f]{64}')


def is_digest(prompts: str) -> bool:
    """Whether prompts are named by their fingerprint: their values come with an adapter.

    Example:
        >>> from rein_seg.text.prompt_file import is_digest
        >>> is_digest('sha256:' + 64 * '0'), is_digest('work_dirs/run/adapter.safetensors')
        (True, False)
    """
    return _DIGEST.fullmatch(prompts) is not None


def digest_of(vectors: Mapping[str, Tensor]) -> str:
    """Returns the fingerprint of learned vectors."""
    return f'sha256:{tensors_sha256(dict(vectors))}'


def read_prompts(
    path: str, identity: Mapping[str, Any], wanted: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Returns the learned vectors in an adapter file.

    Args:
        path: The adapter of a model with a text branch, of images or pixels.
        identity: Facts of the branch that takes them; the branch of the file must have the same.
        wanted: Its vectors, by name.

    Raises:
        UserError: If the file is missing or no adapter, has no learned prompts, or prompts of
            another kind, CLIP, layout or length.
    """
    place = f'model.text.prompts={path!r}'
    if not os.path.isfile(path):
        raise UserError(
            f'{place} does not exist: expected adapter.safetensors of the training of the prompts; '
            'train them first, or leave prompts out to train them here'
        )
    adapter = read_adapter(path)
    theirs = adapter.metadata.get('text') or {}
    found = {n.removeprefix(_PLACE): x for n, x in adapter.tensors.items() if n.startswith(_PLACE)}
    if not found:
        raise UserError(
            f'{place} has no learned prompts ({theirs.get("type", "no text branch")}): expected '
            'the adapter of a model whose text branch learns, such as PrefixDot; give another file'
        )
    _check_identity(place, theirs, identity)
    shapes = {name: tuple(tensor.shape) for name, tensor in found.items()}
    expected = {name: tuple(tensor.shape) for name, tensor in wanted.items()}
    if shapes != expected:
        raise UserError(
            f'{place} has vectors of another length ({_shown(shapes)}), expected '
            f'{_shown(expected)}: give the text branch the options of their training'
        )
    return found


def _check_identity(place: str, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    if theirs.get('type') != ours['type']:
        raise UserError(
            f'{place} has prompts of {theirs.get("type")!r}, expected {ours["type"]!r}: set '
            'model.text.type to it, or give another file'
        )
    source = str(theirs.get('source'))
    if source != ours['source']:
        raise UserError(
            f'{place} was learned with another CLIP ({source[:19]}...): expected '
            f'{ours["source"][:19]}...; give model.text the tower of their training, or train '
            'prompts with this tower'
        )
    for name in sorted(set(ours) & set(theirs)):
        if theirs[name] != ours[name]:
            raise UserError(
                f'{place} was learned with {name}={theirs[name]!r}, expected {ours[name]!r}: set '
                f'model.text.{name} to it'
            )


def _shown(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ', '.join(f'{name} {shape}' for name, shape in sorted(shapes.items()))
