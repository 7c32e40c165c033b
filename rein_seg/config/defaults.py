"""Fills the gaps of a config from its other parts: sizes, roots, the metric that chooses."""

from __future__ import annotations

from mmengine.config import Config

from rein_seg.config.config_paths import Parts
from rein_seg.errors import UserError
from rein_seg.models.base import task_of

FROM_BENCHMARK = 'benchmark'


def fill_sizes(cfg: Config) -> None:
    """Gives the model the classes, crop and windows of the benchmark, in place."""
    of_images = task_of(cfg.model.get('type')) == 'images'
    keys = ('num_classes',) if of_images else ('num_classes', 'crop_size')
    for key in keys:
        if cfg.model.get(key) is None and key in cfg.benchmark:
            cfg.model[key] = cfg.benchmark[key]
    # a partial override keeps the rest of the protocol
    test_cfg = dict(cfg.benchmark.get('test_cfg') or {})
    cfg.model.test_cfg = {**test_cfg, **(cfg.model.get('test_cfg') or {})}


def fill_roots(cfg: Config, parts: Parts) -> None:
    """Gives data sets the ``data_root`` and the ``cache_dir`` of the config, in place.

    A data set keeps its own; copies are cached for training alone.

    Raises:
        UserError: If ``data_root`` reaches no data set.
    """
    if cfg.get('cache_dir') is not None:
        for dataset in parts.datasets['train']:
            dataset.setdefault('cache_dir', cfg.cache_dir)
    root = cfg.get('data_root')
    if root is None:
        return
    datasets = [*parts.datasets['train'], *parts.tested]
    roots = [dataset.setdefault('data_root', root) for dataset in datasets]
    if roots and root not in roots:
        raise UserError(
            f'data_root={root!r} reaches no data set: each has a data_root of its own; set those'
        )


def fill_selection(cfg: Config) -> None:
    """Gives hooks that say ``benchmark`` the metric that the benchmark selects by, in place.

    Raises:
        UserError: If the benchmark names none.
    """
    for name, hook in (cfg.get('default_hooks') or {}).items():
        for key in ('save_best', 'monitor'):
            if not hook or hook.get(key) != FROM_BENCHMARK:
                continue
            selection = cfg.benchmark.get('selection')
            if not selection:
                raise UserError(
                    f'default_hooks.{name}.{key}={FROM_BENCHMARK!r}, but this benchmark chooses by '
                    "no metric: give benchmark.selection=dict(metric='DOMAIN/mIoU', "
                    f"rule='greater'), or default_hooks.{name}=None"
                )
            hook[key], hook['rule'] = selection['metric'], selection['rule']
