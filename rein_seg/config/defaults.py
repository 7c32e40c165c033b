"""What a config leaves open: the average of weights, the metric that chooses, epochs."""

from __future__ import annotations

from mmengine import dist
from mmengine.config import Config
from mmseg.registry import DATASETS

from rein_seg.engine.ema import TrainableEMAHook
from rein_seg.errors import UserError

FROM_BENCHMARK = 'benchmark'


def fill_average(cfg: Config) -> None:
    """Makes ``ema`` of a `TrainableEMAHook` among the hooks, in place: it has one place then.

    Raises:
        UserError: If both are there.
    """
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


def check_schedules(cfg: Config) -> None:
    """Checks that no schedule ends before it begins.

    Raises:
        UserError: If one does.
    """
    for schedule in cfg.get('param_scheduler') or []:
        if (schedule.get('end') or float('inf')) <= schedule.get('begin', 0):
            raise UserError(
                f'{schedule.type} begins at iteration {schedule.begin} and ends at {schedule.end}: '
                'train longer (max_iters) or give param_scheduler a shorter warm-up'
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


def fill_iterations(cfg: Config) -> None:
    """Turns ``epochs`` into iterations where the schedule leaves them open (None), in place.

    An epoch has as many iterations as batches, over all processes, cover the training images; the
    last batch may be smaller. Validation and checkpoints are by epoch, schedules end with the run.

    Raises:
        UserError: If neither epochs nor iterations are given.
    """
    loop = cfg.train_cfg
    epochs = cfg.get('epochs')
    if loop.get('max_iters') is None and cfg.get('max_iters') is not None:
        loop['max_iters'] = cfg.max_iters
    if loop.get('max_iters') is None or ('val_interval' in loop and loop.val_interval is None):
        images = len(DATASETS.build(cfg.train_dataloader.dataset))
        each = -(-images // (cfg.train_dataloader.batch_size * dist.get_world_size()))
    if loop.get('max_iters') is None:
        if not isinstance(epochs, int) or epochs < 1:
            raise UserError(
                f'the schedule counts in epochs, and epochs={epochs!r}: give epochs=30, or '
                'max_iters=10000 (iterations)'
            )
        cfg.max_iters = loop['max_iters'] = epochs * each
    if 'val_interval' in loop and loop.val_interval is None:
        loop['val_interval'] = min(each, loop.max_iters)
    for schedule in cfg.get('param_scheduler') or []:
        if 'end' in schedule and schedule.end is None:
            schedule['end'] = loop.max_iters
    checkpoint = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    if 'interval' in checkpoint and checkpoint.interval is None:
        checkpoint['interval'] = loop.val_interval
