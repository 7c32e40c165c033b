"""Reads the words that files of earlier formats use for an encoder and a method.

Format 1 named an encoder by its module path, which changed when a file moved. Format 2 names it by
its registered name with its scope. Files of format 1 load for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def translate_identity(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the identity that a file of format 1 states, in the words of today.

    Args:
        identity: ``method``, ``encoder`` and ``num_classes``, and any other keys, which stay.

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
    """``package.module.path.Class`` -> ``package.Class``; every class was registered so."""
    return f'{path.partition(".")[0]}.{path.rpartition(".")[2]}'
