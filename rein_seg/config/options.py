"""Lays ``--cfg-options`` over a config."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from rein_seg.config.schedule import check_schedules, reach_length
from rein_seg.errors import UserError, near_misses

# names that may be absent from a config's files: a protocol brings them, or nothing does
OPEN_NAMES = frozenset(
    {'max_iters', 'optim_wrapper', 'param_scheduler', 'ema', 'cache_dir', 'protocol', 'protocols'}
)


def apply_options(cfg: Config, options: Mapping[str, Any]) -> None:
    """Applies options, in place; ``max_iters`` reaches loop and schedules.

    Args:
        cfg: As its files say it.
        options: Dotted names -> values.

    Raises:
        UserError: If an option goes into something that is not a dict, or its first name is not in
            the config; for ``epochs`` beside iterations, which would change nothing; or if a
            schedule would end before it begins.

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
    names = {key.split('.', 1)[0] for key in options}
    known = set(cfg) | OPEN_NAMES
    for name in sorted(names - known):
        raise UserError(f'--cfg-options {name}: not in the config; {near_misses(name, known)}')
    before = copy.deepcopy(cfg.to_dict())
    try:
        cfg.merge_from_dict(copy.deepcopy(dict(options)))  # merging takes keys out of it
    except (TypeError, KeyError, AssertionError) as error:
        raise UserError(f'--cfg-options {dict(options)} does not fit: {error}') from error
    reach_length(cfg, options, before)
    loop = cfg.get('train_cfg') or {}
    if 'epochs' in options and loop.get('max_iters') is not None:
        raise UserError(
            f'--cfg-options epochs: the run has max_iters={loop.max_iters} iterations, so epochs '
            'would change nothing; give max_iters'
        )
    check_schedules(cfg)
