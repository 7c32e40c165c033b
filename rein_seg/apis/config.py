"""Reads a config and completes it, so that leaf files stay short."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.registry import (
    DATA_SAMPLERS,
    DATASETS,
    HOOKS,
    METRICS,
    MODELS,
    OPTIMIZERS,
    TRANSFORMS,
    Registry,
    init_default_scope,
)

from rein_seg.errors import UserError, near_misses
from rein_seg.registry import PEFT_METHODS

_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def load_config(
    path: str, *, work_dir: str | None = None, cfg_options: Mapping[str, Any] | None = None
) -> Config:
    """Reads a config file, applies options, fills in what follows from other parts.

    The model gets ``num_classes``, ``crop_size`` and ``test_cfg`` from ``benchmark`` where it does
    not say otherwise; data sets without a ``data_root`` get the top-level one.

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
    if cfg_options:
        try:
            cfg.merge_from_dict(dict(cfg_options))
        except (TypeError, KeyError, AssertionError) as error:
            raise UserError(f'--cfg-options {dict(cfg_options)} does not fit: {error}') from error
    if work_dir is not None:
        cfg.work_dir = work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = f'work_dirs/{Path(path).stem}'
    complete(cfg)
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    check_names(cfg)
    return cfg


def complete(cfg: Config) -> None:
    """Fills in, in place, what the benchmark and ``data_root`` determine."""
    for key in ('model', 'benchmark'):
        if not isinstance(cfg.get(key), dict):
            raise UserError(f'the config has no {key!r}: name a base of _base_ that defines it')
    for key in ('num_classes', 'crop_size', 'test_cfg'):
        if cfg.model.get(key) is None and key in cfg.benchmark:
            cfg.model[key] = cfg.benchmark[key]
    for dataset in _datasets(cfg):
        if 'data_root' not in dataset and cfg.get('data_root') is not None:
            dataset['data_root'] = cfg.data_root


def _datasets(cfg: Config) -> Iterator[ConfigDict]:
    """Yields the config of every data set, inside ConcatDataset and the like too."""
    waiting = [cfg[key].dataset for key in _LOADERS if cfg.get(key)]
    while waiting:
        dataset = waiting.pop()
        inner = dataset.get('datasets') or ([dataset.dataset] if 'dataset' in dataset else [])
        waiting += inner
        if not inner:
            yield dataset


def check_names(cfg: Config) -> None:
    """Checks that every registered name in the config exists.

    Raises:
        UserError: For the first that does not, with its place and the near misses.
    """
    for place, registry, node in _named(cfg):
        name = node.get('type')
        if registry is PEFT_METHODS:
            PEFT_METHODS.import_from_location()
        if isinstance(name, str) and not _known(registry, name):
            raise UserError(
                f'{place}.type={name!r} is not registered; '
                f'{near_misses(name, _all_names(registry))}'
            )


def _named(cfg: Config) -> Iterator[tuple[str, Registry, Mapping[str, Any]]]:
    model = cfg.model
    yield 'model', MODELS, model
    backbone = model.get('backbone', {})
    yield 'model.backbone', MODELS, backbone
    if backbone.get('type') == 'PEFTBackbone':
        for key, registry in (('encoder', MODELS), ('peft', PEFT_METHODS)):
            if not isinstance(backbone.get(key), dict):
                raise UserError(f'model.backbone.{key} is missing: give dict(type=...)')
            yield f'model.backbone.{key}', registry, backbone[key]
    for key in ('neck', 'decode_head', 'data_preprocessor'):
        if isinstance(model.get(key), dict):
            yield f'model.{key}', MODELS, model[key]
    for key in _LOADERS:
        if cfg.get(key):
            yield f'{key}.dataset', DATASETS, cfg[key].dataset
            yield f'{key}.sampler', DATA_SAMPLERS, cfg[key].sampler
    for dataset in _datasets(cfg):
        yield 'dataset', DATASETS, dataset
        for step in dataset.get('pipeline', []):
            yield 'pipeline', TRANSFORMS, step
    for key in ('val_evaluator', 'test_evaluator'):
        if isinstance(cfg.get(key), dict):
            yield key, METRICS, cfg[key]
    for hook in cfg.get('custom_hooks') or []:
        yield 'custom_hooks', HOOKS, hook
    if cfg.get('optim_wrapper'):
        yield 'optim_wrapper.optimizer', OPTIMIZERS, cfg.optim_wrapper.optimizer


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
