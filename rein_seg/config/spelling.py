"""Gives everything that can be written in two ways one place, and drops words that say nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mmengine.config import Config

from rein_seg.checkpoint.old_files import translate_method
from rein_seg.config.builtin import protocols
from rein_seg.config.config_paths import Parts, same
from rein_seg.config.protocol import ConfigProtocols
from rein_seg.engine.ema import TrainableEMAHook
from rein_seg.errors import UserError

COMPARISON = 'comparison'  # of several runs: no part of a single run
# mmengine takes None for its own hooks only
_MMENGINES = ('runtime_info', 'timer', 'logger', 'param_scheduler', 'checkpoint', 'sampler_seed')


def unify_spelling(cfg: Config, parts: Parts, *, from_file: bool) -> None:
    """Rewrites a config, in place.

    Args:
        cfg: With its options.
        parts: Its parts.
        from_file: Whether a file holds it: if a run of version 0.1.0 left that file, its method has
            the argument names of then.

    Raises:
        UserError: If it averages weights in two places.
    """
    cfg.pop(COMPARISON, None)
    if from_file and is_resolved(cfg):
        backbone = cfg.model.get('backbone') or {}
        if 'peft' in backbone:
            backbone['peft'] = translate_method(backbone['peft'])
    _move_average(cfg)
    for name in [name for name, hook in (cfg.get('default_hooks') or {}).items() if hook is None]:
        if name not in _MMENGINES:
            del cfg.default_hooks[name]
    for metric in [*parts.metrics['val'], *parts.metrics['test']]:
        metric.pop('changed', None)  # of the run that left this config
    _drop_shipped_protocols(cfg, parts)


def is_resolved(cfg: Mapping[str, Any]) -> bool:
    """Says whether a run left this config: a leaf leaves these words to the benchmark.

    Example:
        >>> from rein_seg.config.spelling import is_resolved
        >>> is_resolved(dict(model=dict(num_classes=2)))
        False
    """
    model, benchmark = cfg.get('model'), cfg.get('benchmark')
    both = isinstance(model, Mapping) and isinstance(benchmark, Mapping)
    return both and 'work_dir' in cfg and 'protocol' in benchmark and 'num_classes' in model


def _move_average(cfg: Config) -> None:
    """Makes ``ema`` of a `TrainableEMAHook` among the hooks."""
    hooks = list(cfg.get('custom_hooks') or [])
    for hook in [hook for hook in hooks if hook.get('type') == TrainableEMAHook.__name__]:
        if cfg.get('ema'):
            raise UserError(
                f'the config has ema={dict(cfg.ema)} and a TrainableEMAHook in custom_hooks; leave '
                'one of them out'
            )
        hooks.remove(hook)
        cfg['custom_hooks'] = hooks
        cfg['ema'] = {'begin': 0, **{key: hook[key] for key in hook if key != 'type'}}


def _drop_shipped_protocols(cfg: Config, parts: Parts) -> None:
    """Drops definitions that are the shipped ones: version 0.1.0 wrote all of a benchmark's."""
    own = cfg.get('protocols') or {}
    shipped = [name for name in own if name in protocols()]
    known = ConfigProtocols(cfg, parts) if shipped else None
    for name in shipped:
        definition = protocols()[name]
        # the open questions are texts, which a later version may word otherwise
        ours = replace(known.defined(name), not_known=definition.not_known)
        if same(vars(ours), vars(definition)):
            own.pop(name)
    if shipped and not own:
        cfg.pop('protocols')
