"""Translates the identity in files of an earlier format; every format loads for ever.

Format 1 names an encoder by its module path, which changes when a file moves, and calls the targets
of a method ``parts`` or ``roles``. Format 2 names an encoder by its registered name with its scope.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rein_seg.registry import (
    OLD_ARGUMENTS,
    method_class,
    name_from_path,
    registered_class,
    with_defaults,
)


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
    encoder = translated.get('encoder')
    if encoder and 'config' in encoder:
        config = {**encoder['config'], 'type': name_from_path(encoder['config']['type'])}
        translated['encoder'] = {**encoder, 'config': config}
    if 'method' in translated:
        translated['method'] = translate_method(translated['method'])
    return translated


def translate_method(config: Any) -> Any:
    """Returns the config of a method, or a list of them, of format 1 in the words of format 2.

    Example:
        >>> from rein_seg.checkpoint.old_files import translate_method
        >>> translate_method({'type': 'LoRA', 'parts': ['q', 'v']})
        {'type': 'LoRA', 'targets': ['q', 'v']}
    """
    if isinstance(config, Mapping):
        return {OLD_ARGUMENTS.get(key, key): value for key, value in config.items()}
    return [translate_method(each) for each in config]


def fill_new_arguments(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Gives arguments that encoder and method got after a file was written their defaults.

    A new argument has the behaviour of before as its default, so the file still fits. A default of
    None says nothing about the behaviour and is not filled in.

    Args:
        identity: ``method``, ``encoder`` and ``num_classes`` in the file, in the words of today.

    Example:
        >>> import rein_seg.encoders
        >>> from rein_seg.checkpoint.old_files import fill_new_arguments
        >>> read = {'encoder': {'config': {'type': 'rein_seg.TinyViT', 'depth': 3}}}
        >>> filled = fill_new_arguments(read)['encoder']['config']
        >>> filled['depth'], filled['patch_size']
        (3, 8)
    """
    filled = dict(identity)
    encoder = filled.get('encoder')
    config = (encoder or {}).get('config')
    if config:
        cls = registered_class(str(config.get('type')))
        filled['encoder'] = {**encoder, 'config': _filled(cls, config)}
    if 'method' in filled:
        filled['method'] = _fill_method(filled['method'])
    return filled


def _fill_method(config: Any) -> Any:
    if isinstance(config, Mapping):
        return _filled(method_class(str(config.get('type'))), config)
    return [_fill_method(each) for each in config]


def _filled(cls: type | None, config: Mapping[str, Any]) -> dict[str, Any]:
    if cls is None:
        return dict(config)
    defaults = {key: v for key, v in with_defaults(cls, {}).items() if v is not None}
    return {**defaults, **config}
