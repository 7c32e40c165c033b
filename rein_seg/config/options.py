"""Lays ``--cfg-options`` over a config."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from typing import Any

from mmengine.config import Config

from rein_seg.config.schedule import reach_length
from rein_seg.config.schema.keys import KEYS
from rein_seg.errors import UserError, near_misses


def apply_options(cfg: Config, options: Mapping[str, Any], variables: Collection[str] = ()) -> None:
    """Applies options, in place; ``max_iters`` reaches loop and schedules.

    Args:
        cfg: As its files say it.
        options: Dotted names -> values.
        variables: Names in its files that the files themselves read.

    Raises:
        UserError: If an option goes into something that is not a dict, its first name is neither a
            word of configs nor in this config, or is a variable of its files; or for ``epochs``
            beside iterations, which would change nothing.

    Example:
        >>> from mmengine.config import Config
        >>> from rein_seg.config.options import apply_options
        >>> cfg = Config(dict(train_cfg=dict(max_iters=320, val_interval=320)))
        >>> apply_options(cfg, {'max_iters': 50})
        >>> cfg.train_cfg
        {'max_iters': 50, 'val_interval': 50}
    """
    if not options:
        return
    for key in options:
        _check_name(key, cfg, variables)
    before = copy.deepcopy(cfg.to_dict())
    for key, value in options.items():
        try:
            cfg.merge_from_dict({key: copy.deepcopy(value)})
        except (TypeError, KeyError, IndexError, AssertionError, AttributeError) as error:
            raise UserError(f'--cfg-options {key}={value!r}: {_misfit(before, key)}') from error
    reach_length(cfg, options, before)
    loop = cfg.get('train_cfg')
    counted = isinstance(loop, Mapping) and loop.get('max_iters') is not None
    if 'epochs' in options and counted:
        raise UserError(
            f'--cfg-options epochs: the run has max_iters={loop["max_iters"]} iterations, so '
            'epochs would change nothing; give max_iters'
        )


def _check_name(key: str, cfg: Config, variables: Collection[str]) -> None:
    name = key.split('.', 1)[0]
    if not all(key.split('.')):
        raise UserError(f'--cfg-options {key!r}: expected names with dots between: a.b.c=VALUE')
    if name not in KEYS and name not in cfg:
        raise UserError(
            f'--cfg-options {name}: not in the config, and no word of configs; '
            f'{near_misses(name, {*KEYS, *cfg})}'
        )
    if name == 'custom_imports':
        raise UserError(
            f'--cfg-options {key}: an option imports nothing: write custom_imports into a config '
            'file in Python'
        )
    if name not in KEYS and name in variables:
        raise UserError(
            f'--cfg-options {key}: {name!r} is a variable of the config files, which have been '
            f'read: set the keys that take its value; rein-seg show CONFIG lists them'
        )


def _misfit(content: Any, key: str) -> str:
    """Returns why an option does not fit into a config, and the way out."""
    place = ''
    for name in key.split('.'):
        if isinstance(content, Mapping):
            content, place = content.get(name, {}), f'{place}.{name}' if place else name
            continue
        if isinstance(content, (list, tuple)) and name.isdigit() and int(name) < len(content):
            content, place = content[int(name)], f'{place}.{name}'
            continue
        kind = (
            f'a list of {len(content)}: give a place from 0 to {len(content) - 1}'
            if isinstance(content, (list, tuple))
            else f'{content!r}, no dict: it has no keys; set {place} itself'
        )
        return f'{place} is {kind}'
    return f'{place} is a dict or a list: set its parts, {place}.KEY=VALUE'
