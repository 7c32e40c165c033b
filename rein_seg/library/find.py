"""Finds the encoder in somebody's own module."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from rein_seg.encoders.anatomy import known_classes
from rein_seg.errors import UserError, near_misses
from rein_seg.registry import ANATOMIES, anatomy_function, registered_name

_PAGE = 'docs/tutorials/your-encoder.md'


def known_modules() -> tuple[str, ...]:
    """Returns the classes that `attach` knows, as ``package.Class``, sorted.

    Example:
        >>> import rein_seg
        >>> [name for name in rein_seg.known_modules() if name.startswith('torchvision')]
        ['torchvision.ConvNeXt', 'torchvision.IntermediateLayerGetter', 'torchvision.ResNet',
         'torchvision.SwinTransformer', 'torchvision.VisionTransformer']
    """
    import rein_seg.encoders  # noqa: F401  registers them

    names = (key if isinstance(key, str) else registered_name(key) for key in ANATOMIES)
    return tuple(sorted(set(names), key=str.lower))


def find_encoder(module: nn.Module) -> tuple[str, nn.Module]:
    """Returns name and module of the encoder in ``module``; the name is empty for itself.

    Args:
        module: An encoder whose class has an anatomy, or a module with exactly one such encoder.

    Raises:
        UserError: If there is none, or there are several.
    """
    found = dict(_encoders('', module))
    if len(found) == 1:
        return next(iter(found.items()))
    name = registered_name(type(module))
    if found:
        places = ', '.join(f'{path!r} ({registered_name(type(e))})' for path, e in found.items())
        raise UserError(
            f'attach: {name} holds {len(found)} encoders, {places}: expected one; give one of '
            f'them, such as attach(module.{next(iter(found))}, ...)'
        )
    parent = next((c for c in type(module).__mro__[1:] if registered_name(c) in ANATOMIES), None)
    hint = near_misses(type(module).__name__, known_classes(), otherwise='none is close')
    if parent is not None:
        hint = f'it derives from {registered_name(parent)}, but its forward may differ'
    raise UserError(
        f'attach: no anatomy is known for {name}, nor for a module inside it ({hint}); known: '
        f'{_by_library()}. Give the encoder itself, such as module.backbone, or '
        f'register its anatomy: {_PAGE}'
    )


def _by_library() -> str:
    """Returns the known classes as ``timm (ConvNeXt, Eva, ...), torchvision (...)``."""
    names = [name.split('.', 1) for name in known_modules()]
    libraries = dict.fromkeys(library for library, _ in names)
    return ', '.join(
        f'{library} ({", ".join(name for own, name in names if own == library)})'
        for library in libraries
    )


def _encoders(path: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yields the outermost modules that have an anatomy."""
    if anatomy_function(module) is not None:
        yield path, module
        return
    for name, child in module.named_children():
        yield from _encoders(f'{path}.{name}'.lstrip('.'), child)
