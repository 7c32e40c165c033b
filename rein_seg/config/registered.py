"""Classes by their registered names."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

import mmengine.registry
from mmengine.registry import (
    DATA_SAMPLERS,
    DATASETS,
    HOOKS,
    LOOPS,
    METRICS,
    MODELS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
    TRANSFORMS,
    Registry,
)

from rein_seg.errors import near_misses
from rein_seg.registry import PEFT_METHODS, method_class

_ALL = (
    MODELS, PEFT_METHODS, DATASETS, DATA_SAMPLERS, TRANSFORMS, METRICS, LOOPS, HOOKS, OPTIMIZERS,
    PARAM_SCHEDULERS,
)  # fmt: skip
# packages whose registries a name with a dot may mean
SCOPES = ('mmengine', 'mmseg', 'mmpretrain', 'rein_seg')


def find_class(registry: Registry, name: str) -> type | None:
    """Returns the class that a registry has under a name, None if it has none.

    Example:
        >>> from mmengine.registry import MODELS
        >>> import rein_seg.apis
        >>> from rein_seg.config.registered import find_class
        >>> find_class(MODELS, 'PEFTSegmentor').__name__, find_class(MODELS, 'AdamW')
        ('PEFTSegmentor', None)
    """
    if registry is PEFT_METHODS:
        return method_class(name)
    scope, _, short = name.rpartition('.')
    node = _node(registry, scope)
    # not by `Registry.get`, which imports a module of that name
    while node is not None:
        node.import_from_location()
        if short in node.module_dict:
            return node.module_dict[short]
        node = node.parent
    return None


def is_registered(name: str) -> bool:
    """Tells whether any registry has a name.

    Example:
        >>> import rein_seg.apis
        >>> from rein_seg.config.registered import is_registered
        >>> is_registered('Adam'), is_registered('os')
        (True, False)
    """
    roots = [one for one in vars(mmengine.registry).values() if isinstance(one, Registry)]
    return any(name in _all_names(root) for root in [*roots, PEFT_METHODS])


def _node(registry: Registry, scope: str) -> Registry | None:
    """Returns the registry of a package; without a package that of the default scope."""
    if not scope:
        with registry.switch_scope_and_registry(None) as node:
            return node
    if scope not in SCOPES:
        return None
    import_module(f'{scope}.registry')
    root = registry
    while root.parent is not None:
        root = root.parent
    return root if root.scope == scope else root.children.get(scope)


def not_registered(registry: Registry, name: str) -> str:
    """Returns why a registry has no class of a name, and the way out.

    Example:
        >>> from mmengine.registry import MODELS
        >>> import rein_seg.apis
        >>> from rein_seg.config.registered import not_registered
        >>> not_registered(MODELS, 'AdamW')
        'is registered as optimizer, not as model: give a model here'
    """
    other = next((one for one in _ALL if one is not registry and find_class(one, name)), None)
    if other is not None:
        kind = _kind(registry)
        return f'is registered as {_kind(other)}, not as {kind}: give a {kind} here'
    return f'is not registered; {near_misses(name, _all_names(registry))}'


def _kind(registry: Registry) -> str:
    return registry.name.replace('_', ' ')


def _all_names(registry: Registry) -> set[str]:
    return {name for node in _with_children(registry) for name in node.module_dict}


def _with_children(registry: Registry) -> Iterator[Registry]:
    yield registry
    for child in registry.children.values():
        yield from _with_children(child)
