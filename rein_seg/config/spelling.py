"""Gives everything that can be written in two ways one place, and drops words that say nothing."""

from __future__ import annotations

from mmengine.config import Config

from rein_seg.config.builtin import protocols
from rein_seg.config.config_paths import domain_metrics, same
from rein_seg.config.protocol import defined
from rein_seg.engine.ema import TrainableEMAHook
from rein_seg.errors import UserError

COMPARISON = 'comparison'  # of several runs: no part of a single run
# mmengine takes None for its own hooks only
_MMENGINES = ('runtime_info', 'timer', 'logger', 'param_scheduler', 'checkpoint', 'sampler_seed')


def unify_spelling(cfg: Config) -> None:
    """Rewrites a config, in place.

    Raises:
        UserError: If it averages weights in two places.
    """
    cfg.pop(COMPARISON, None)
    _move_average(cfg)
    for name in [name for name, hook in (cfg.get('default_hooks') or {}).items() if hook is None]:
        if name not in _MMENGINES:
            del cfg.default_hooks[name]
    for metric in domain_metrics(cfg):
        metric.pop('changed', None)  # of the run that left this config
    _drop_shipped_protocols(cfg)


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


def _drop_shipped_protocols(cfg: Config) -> None:
    """Drops definitions that are the shipped ones: version 0.1.0 wrote all of a benchmark's."""
    own = cfg.get('protocols') or {}
    shipped = [name for name in own if name in protocols()]
    for name in shipped:
        if same(vars(defined(cfg, name)), vars(protocols()[name])):
            own.pop(name)
    if shipped and not own:
        cfg.pop('protocols')
