"""Checks of the names in a config: registered names, its own words, and near misses of either."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from mmengine.config import Config
from mmengine.registry import (
    DATA_SAMPLERS,
    DATASETS,
    HOOKS,
    LOOPS,
    METRICS,
    MODELS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
    TRANSFORMS,
    VISUALIZERS,
    Registry,
)

from rein_seg.config.config_paths import LOADERS, Parts
from rein_seg.config.options import OPEN_NAMES
from rein_seg.errors import UserError, near_misses
from rein_seg.registry import PEFT_METHODS, method_class

_SECTIONS = {
    'val_evaluator': METRICS,
    'test_evaluator': METRICS,
    'train_cfg': LOOPS,
    'val_cfg': LOOPS,
    'test_cfg': LOOPS,
    'default_hooks': HOOKS,
    'custom_hooks': HOOKS,
    'param_scheduler': PARAM_SCHEDULERS,
    'visualizer': VISUALIZERS,
}
# top-level words that are read here or by mmengine's runner; other names are a user's variables
_WORDS = (
    *OPEN_NAMES, *LOADERS, *_SECTIONS, 'model', 'benchmark', 'data_root', 'epochs', 'compile',
    'expected_images', 'comparison', 'custom_imports', 'default_scope', 'runner_type', 'env_cfg',
    'randomness', 'vis_backends', 'log_processor', 'log_level', 'load_from', 'resume', 'work_dir',
    'launcher', 'auto_scale_lr', 'experiment_name', 'model_wrapper_cfg',
)  # fmt: skip
_BENCHMARK_WORDS = (
    'name', 'num_classes', 'protocol', 'crop_size', 'test_cfg', 'selection', 'evaluated_as',
)  # fmt: skip
_BUILT_BY = {'type', 'constructor', 'runner_type'}
# packages whose registries a name with a dot may mean
_SCOPES = ('mmengine', 'mmseg', 'mmpretrain', 'rein_seg')
_NEAR = 0.86  # share of letters in common: `targets` is a variable, `optim_wraper` a slip


def registry_of(place: str) -> Registry | None:
    """Returns the registry that builds the part of a config at a dotted key, None for a plain dict.

    Example:
        >>> from rein_seg.config.names import registry_of
        >>> registry_of('train_dataloader.dataset.pipeline.2').name
        'transform'
        >>> registry_of('env_cfg') is None
        True
    """
    first, *keys = place.split('.')
    if first == 'model':
        return PEFT_METHODS if 'peft' in keys else MODELS
    if first in LOADERS:
        kinds = {'sampler': DATA_SAMPLERS, 'pipeline': TRANSFORMS, 'dataset': DATASETS}
        return next((registry for key, registry in kinds.items() if key in keys), None)
    if first == 'optim_wrapper':
        return OPTIMIZERS if 'optimizer' in keys else None
    return _SECTIONS.get(first)


def check_words(cfg: Config) -> None:
    """Checks the words of a config and of its benchmark.

    Raises:
        UserError: For a top-level name close to a word that is known, which nothing would read, or
            a key of ``benchmark`` that is not known.
    """
    for name in cfg:
        close = difflib.get_close_matches(name, _WORDS, n=1, cutoff=_NEAR)
        if close and name not in _WORDS:
            raise UserError(
                f'the config has {name!r}, which nothing reads; did you mean {close[0]!r}? '
                'Name a variable of your own less alike'
            )
    for name in cfg.benchmark:
        if name not in _BENCHMARK_WORDS:
            raise UserError(f'benchmark has a key {name!r}; {near_misses(name, _BENCHMARK_WORDS)}')


def check_types(cfg: Config) -> None:
    """Checks that a type with a dot names a registered class.

    mmengine takes any path to a Python object for a type, such as ``os.system``, and imports its
    first word: a config in JSON or an option could run any code.

    Raises:
        UserError: For the first type that is not registered.

    Example:
        >>> from mmengine.config import Config
        >>> from rein_seg.config.names import check_types
        >>> check_types(Config(dict(vis_backends=[dict(type='os.system', command='ls')])))
        Traceback (most recent call last):
        rein_seg.errors.UserError: type='os.system' is a path to a Python object, expected a
        registered name such as 'mmpretrain.ConvNeXt': register the class, and import its file by
        custom_imports
    """
    rest: list[Any] = [cfg.to_dict()]
    while rest:
        part = rest.pop()
        if isinstance(part, Mapping):
            for key in _BUILT_BY & part.keys():
                _check_type(key, part[key])
            rest += part.values()
        elif isinstance(part, (list, tuple)):
            rest += part


def _check_type(key: str, name: Any) -> None:
    if not isinstance(name, str) or '.' not in name:
        return
    scope, _, short = name.partition('.')
    # a name that its package does not hold is a registered name, or is reported as unknown
    if scope in _SCOPES and '.' not in short and not hasattr(import_module(scope), short):
        return
    raise UserError(
        f'{key}={name!r} is a path to a Python object, expected a registered name such as '
        "'mmpretrain.ConvNeXt': register the class, and import its file by custom_imports"
    )


def check_names(cfg: Config, parts: Parts) -> None:
    """Checks that every registered name in the config exists.

    Raises:
        UserError: For the first that does not, with its place and the near misses.
    """
    for place, registry, node in _named(cfg, parts):
        name = node.get('type') if isinstance(node, Mapping) else None
        if isinstance(name, str) and find_class(registry, name) is None:
            raise UserError(
                f'{place}.type={name!r} is not registered; '
                f'{near_misses(name, _all_names(registry))}'
            )


def _named(cfg: Config, parts: Parts) -> Iterator[tuple[str, Registry, Mapping[str, Any]]]:
    """Yields place, registry and node of everything that is built by name."""
    _check_backbone(cfg.model.get('backbone', {}))
    yield from _inside('model', MODELS, cfg.model)
    for key in LOADERS:
        if cfg.get(key):
            for part, registry in (('dataset', DATASETS), ('sampler', DATA_SAMPLERS)):
                yield f'{key}.{part}', registry, cfg[key].get(part)
    for dataset in [*parts.datasets['train'], *parts.tested]:
        yield 'dataset', DATASETS, dataset
        for step in dataset.get('pipeline', []):
            yield 'pipeline', TRANSFORMS, step
    for key, registry in _SECTIONS.items():
        node = cfg.get(key) or []
        for part in [node] if 'type' in node else node:
            yield key, registry, node[part] if isinstance(part, str) else part
    wrapper = cfg.get('optim_wrapper') or {}
    if 'optimizer' in wrapper:
        yield 'optim_wrapper.optimizer', OPTIMIZERS, wrapper['optimizer']
    if 'constructor' in wrapper:
        constructor = {'type': wrapper['constructor']}
        yield 'optim_wrapper.constructor', OPTIM_WRAPPER_CONSTRUCTORS, constructor


def _check_backbone(backbone: Mapping[str, Any]) -> None:
    if backbone.get('type') != 'PEFTBackbone':
        return
    for key in ('encoder', 'peft'):
        node = backbone.get(key)
        several = key == 'peft' and isinstance(node, (list, tuple)) and len(node) > 0
        if not all(isinstance(one, dict) for one in (node if several else [node])):
            raise UserError(f'model.backbone.{key} is missing: give dict(type=...)')


def _inside(
    place: str, registry: Registry, node: Any
) -> Iterator[tuple[str, Registry, Mapping[str, Any]]]:
    if isinstance(node, (list, tuple)):
        for i, part in enumerate(node):
            yield from _inside(f'{place}.{i}', registry, part)
    if not isinstance(node, dict):
        return
    if isinstance(node.get('type'), str):
        yield place, registry, node
    for key, part in node.items():
        if key not in ('init_cfg', 'sampler', 'test_cfg', 'train_cfg'):
            yield from _inside(f'{place}.{key}', PEFT_METHODS if key == 'peft' else registry, part)


def find_class(registry: Registry, name: str) -> type | None:
    """Returns the class that a registry has under a name, None if it has none."""
    if registry is PEFT_METHODS:
        return method_class(name)
    try:
        with registry.switch_scope_and_registry(None) as scoped:
            return scoped.get(name)
    except (RuntimeError, ImportError):
        return None


def _all_names(registry: Registry) -> set[str]:
    names, waiting = set(), [registry]
    while waiting:
        node = waiting.pop()
        names |= set(node.module_dict)
        waiting += node.children.values()
    return names
