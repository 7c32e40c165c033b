"""Translates the identity in files of an earlier format; every format loads for ever.

Format 1 names an encoder by its module path, which changes when a file moves. Format 2 names it by
its registered name with its scope.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def translate_identity(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the identity in a file of format 1, in the words of format 2.

    Args:
        identity: ``method``, ``encoder`` and ``num_classes``; other keys stay as they are.

    Example:
        >>> from rein_seg.checkpoint.old_files import translate_identity
        >>> old = {'encoder': {'config': {'type': 'rein_seg.encoders.tiny_vit.TinyViT'}}}
        >>> translate_identity(old)
        {'encoder': {'config': {'type': 'rein_seg.TinyViT'}}}
    """
    translated = dict(identity)
    if 'encoder' in translated:
        encoder = translated['encoder']
        config = {**encoder['config'], 'type': _registered(encoder['config']['type'])}
        translated['encoder'] = {**encoder, 'config': config}
    return translated


def _registered(path: str) -> str:
    """Returns ``package.Class`` for ``package.module.path.Class``: a class's registered name."""
    return f'{path.partition(".")[0]}.{path.rpartition(".")[2]}'
