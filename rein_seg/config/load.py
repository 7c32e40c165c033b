"""Reads a config and completes it, so that leaf files stay short."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
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
    init_default_scope,
)

from rein_seg.config.config_paths import LOADERS, datasets_of
from rein_seg.config.defaults import check_schedules, fill_average, fill_selection
from rein_seg.config.protocol import OPEN_NAMES, available, fill_protocol
from rein_seg.errors import UserError, near_misses
from rein_seg.registry import PEFT_METHODS

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
OWN_HOOKS = ('runtime_info', 'timer', 'logger', 'param_scheduler', 'checkpoint', 'sampler_seed')


def load_config(
    path: str, *, work_dir: str | None = None, cfg_options: Mapping[str, Any] | None = None
) -> Config:
    """Reads a config file, applies options, fills in what follows from other parts.

    The ``protocol`` fills in what is open: pipelines, schedule, sizes, the rule that chooses the
    checkpoint. The model gets ``num_classes``, ``crop_size`` and ``test_cfg`` from ``benchmark``
    where it does not say otherwise; data sets without a ``data_root`` get the top-level one, those
    of training the top-level ``cache_dir``, if there is one.

    Args:
        path: Config file.
        work_dir: Folder of the run; default ``work_dirs/<config name>``.
        cfg_options: Dotted names -> values, as from ``--cfg-options``.

    Raises:
        UserError: If the file is missing, an option goes into something that is not a dict, or a
            registered name is unknown.
    """
    if not Path(path).is_file():
        there = sorted(p.name for p in Path(path).parent.glob('*.py')) or ['(no such folder)']
        raise UserError(f'config {path!r} does not exist; {near_misses(Path(path).name, there)}')
    cfg = Config.fromfile(path)
    # formatting its text as yapf does would take seconds, several times a run
    cfg = Config(cfg.to_dict(), cfg_text=cfg.text, filename=cfg.filename, format_python_code=False)
    apply_options(cfg, dict(cfg_options or {}))
    if work_dir is not None:
        cfg.work_dir = work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = f'work_dirs/{Path(path).stem}'
    complete(cfg)
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    check_names(cfg)
    return cfg


def apply_options(cfg: Config, options: dict[str, Any]) -> None:
    """Applies ``--cfg-options``, in place; ``max_iters`` reaches loop and schedules.

    Raises:
        UserError: If an option goes into something that is not a dict, or its first name is not in
            the config, or it is ``epochs`` beside iterations: it would change nothing; or a
            schedule would end before it begins.
    """
    names = {key.split('.', 1)[0] for key in options}
    known = set(cfg) | OPEN_NAMES
    for name in sorted(names - known):
        raise UserError(f'--cfg-options {name}: not in the config; {near_misses(name, known)}')
    before = {cfg.get('max_iters'), (cfg.get('train_cfg') or {}).get('max_iters')}
    try:
        cfg.merge_from_dict(options)
    except (TypeError, KeyError, AssertionError) as error:
        raise UserError(f'--cfg-options {options} does not fit: {error}') from error
    if 'max_iters' in options:
        _reach_max_iters(cfg, before)
    if 'epochs' in options and cfg.train_cfg.get('max_iters') is not None:
        raise UserError(
            f'--cfg-options epochs: the run has max_iters={cfg.train_cfg.max_iters} iterations, so '
            'epochs would change nothing; give max_iters'
        )
    check_schedules(cfg)


def _reach_max_iters(cfg: Config, before: set[int | None]) -> None:
    """Has what ended with the run end with its new ``max_iters``."""
    for node, key in [(cfg.train_cfg, 'max_iters'), (cfg.train_cfg, 'val_interval')] + [
        (schedule, 'end') for schedule in cfg.get('param_scheduler') or []
    ]:
        by_epoch = key == 'val_interval' and node.get(key) is None
        if key in node and node[key] in before and not by_epoch:
            node[key] = cfg.max_iters


def complete(cfg: Config) -> None:
    """Fills in, in place, what the benchmark, its protocol and ``data_root`` determine.

    Raises:
        UserError: If the config has no model or benchmark, ``data_root`` or ``protocol`` reaches no
            data set, or the benchmark has no such protocol.
    """
    for key in ('model', 'benchmark'):
        if not isinstance(cfg.get(key), dict):
            raise UserError(f'the config has no {key!r}: name a base of _base_ that defines it')
    _complete_model(cfg)
    # mmengine takes None for its own hooks only
    for name in [name for name, hook in (cfg.get('default_hooks') or {}).items() if hook is None]:
        if name not in OWN_HOOKS:
            del cfg.default_hooks[name]
    if cfg.get('cache_dir') is not None:
        for dataset in datasets_of(cfg, LOADERS[:1]):
            dataset.setdefault('cache_dir', cfg.cache_dir)
    root = cfg.get('data_root')
    if root is None:
        return
    roots = [dataset.setdefault('data_root', root) for dataset in datasets_of(cfg)]
    if root not in roots:
        raise UserError(
            f'data_root={root!r} reaches no data set: each has a data_root of its own; set those'
        )


def _complete_model(cfg: Config) -> None:
    """Fills in what protocol and benchmark say, in place."""
    fill_average(cfg)
    fill_protocol(cfg)
    for key in ('num_classes', 'crop_size'):
        if cfg.model.get(key) is None and key in cfg.benchmark:
            cfg.model[key] = cfg.benchmark[key]
    # a partial override keeps the rest of the protocol
    test_cfg = dict(cfg.benchmark.get('test_cfg') or {})
    cfg.model.test_cfg = {**test_cfg, **(cfg.model.get('test_cfg') or {})}
    fill_selection(cfg)


def with_protocol(cfg: Config, name: str) -> Config:
    """Returns a copy of a completed config under another protocol of its benchmark.

    Raises:
        UserError: If the benchmark has no such protocol.
    """
    other = copy.deepcopy(cfg)
    if cfg.get('protocols'):
        other['protocol'] = name
        _complete_model(other)
    elif name not in available(cfg):
        raise UserError(
            f'protocol={name!r}; benchmark {cfg.benchmark.get("name")!r} has '
            f'{", ".join(available(cfg))}'
        )
    return other


def check_names(cfg: Config) -> None:
    """Checks that every registered name in the config exists.

    Raises:
        UserError: For the first that does not, with its place and the near misses.
    """
    for place, registry, node in _named(cfg):
        name = node.get('type') if isinstance(node, Mapping) else None
        if registry is PEFT_METHODS:
            PEFT_METHODS.import_from_location()
        if isinstance(name, str) and not _known(registry, name):
            raise UserError(
                f'{place}.type={name!r} is not registered; '
                f'{near_misses(name, _all_names(registry))}'
            )


def _named(cfg: Config) -> Iterator[tuple[str, Registry, Mapping[str, Any]]]:
    """Yields place, registry and node of everything that is built by name."""
    backbone = cfg.model.get('backbone', {})
    if backbone.get('type') == 'PEFTBackbone':
        for key in ('encoder', 'peft'):
            node = backbone.get(key)
            several = key == 'peft' and isinstance(node, (list, tuple)) and len(node) > 0
            if not all(isinstance(one, dict) for one in (node if several else [node])):
                raise UserError(f'model.backbone.{key} is missing: give dict(type=...)')
    yield from _inside('model', MODELS, cfg.model)
    for key in LOADERS:
        if cfg.get(key):
            yield f'{key}.dataset', DATASETS, cfg[key].dataset
            yield f'{key}.sampler', DATA_SAMPLERS, cfg[key].sampler
    for dataset in datasets_of(cfg):
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


def _known(registry: Registry, name: str) -> bool:
    if registry is PEFT_METHODS:
        return name in registry.module_dict
    try:
        with registry.switch_scope_and_registry(None) as scoped:
            return scoped.get(name) is not None
    except (RuntimeError, ImportError):
        return False


def _all_names(registry: Registry) -> set[str]:
    names, waiting = set(), [registry]
    while waiting:
        node = waiting.pop()
        names |= set(node.module_dict)
        waiting += node.children.values()
    return names
