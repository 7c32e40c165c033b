"""Turns epochs into iterations, and checks that schedules fit them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine import dist
from mmengine.config import Config
from mmseg.registry import DATASETS

from rein_seg.config.config_paths import Parts
from rein_seg.config.definitions import LAST
from rein_seg.errors import UserError


def check_parts(cfg: Config) -> None:
    """Checks that the parts of a training run are there.

    Raises:
        UserError: For the first that is not.
    """
    parts = [f'{use}_{part}' for use in ('train', 'val') for part in ('dataloader', 'cfg')]
    for key in [*parts, 'val_evaluator', 'optim_wrapper']:
        if cfg.get(key) is None:
            raise UserError(
                f'{key}={cfg.get(key)!r}: a training run needs it; name a base of _base_ that '
                'defines it'
            )


def check_start(cfg: Config) -> None:
    """Checks that a new method starts from weights.

    Raises:
        UserError: If ``new_method`` is set and ``load_from`` names no file.
    """
    if cfg.get('new_method') and not (cfg.get('load_from') or cfg.get('resume')):
        raise UserError(
            'new_method=True starts from the neck and heads of another run, and load_from names no '
            'file: expected its adapter.safetensors or a checkpoint; set load_from, or leave '
            'new_method out'
        )


def check_training(cfg: Config, parts: Parts) -> None:
    """Checks schedules, decay and hooks of a training run.

    Raises:
        UserError: If a schedule ends before it begins or would make norms and tokens decay, one
            counts epochs in a loop of iterations, or a hook averages weights for validation alone.
    """
    check_schedules(cfg)
    check_decay(cfg)
    check_epochs(cfg, parts)
    for place, hook in parts.hooks():
        if hook['type'] == 'ParamSchedulerHook' and place.startswith('custom_hooks'):
            raise UserError(
                f'{place}.type={hook["type"]!r}: it is among the default hooks, and each schedule '
                'would step twice: leave it out'
            )
    averaging = [hook['type'] for _, hook in parts.hooks() if 'EMA' in str(hook.get('type'))]
    if averaging:
        raise UserError(
            f'hook {averaging[0]!r} averages weights for validation only: the adapter written '
            'would not be the one scored; use ema=dict(begin=..., momentum=...) instead'
        )


def check_schedules(cfg: Config) -> None:
    """Checks that no schedule ends before it begins, or above the learning rate.

    Raises:
        UserError: If one does.
    """
    for schedule in cfg.get('param_scheduler') or []:
        if (schedule.get('end') or float('inf')) <= schedule.get('begin', 0):
            raise UserError(
                f'{schedule.type} begins at iteration {schedule.begin} and ends at {schedule.end}: '
                'train longer (max_iters) or give param_scheduler a shorter warm-up'
            )
    wrapper = cfg.get('optim_wrapper') or {}
    for place, part in [
        ('optim_wrapper', wrapper),
        ('optim_wrapper.critic', wrapper.get('critic')),
    ]:
        rate = ((part or {}).get('optimizer') or {}).get('lr', float('inf'))
        for i, schedule in enumerate(cfg.get('param_scheduler') or []):
            low = schedule.get('eta_min') or 0
            if schedule['type'].endswith('LR') and low > rate:
                raise UserError(
                    f'param_scheduler.{i}.eta_min={low} is above {place}.optimizer.lr={rate}: '
                    'the rate would rise to it; give eta_min, the last rate, below lr'
                )


def check_epochs(cfg: Config, parts: Parts) -> None:
    """Checks that nothing waits for the end of an epoch, which a loop of iterations never has.

    Raises:
        UserError: If a schedule or the checkpoints do.
    """
    loop = cfg.train_cfg
    if loop.get('type', 'IterBasedTrainLoop') != 'IterBasedTrainLoop':
        return
    schedules = [
        (f'param_scheduler.{i}', schedule)
        for i, schedule in enumerate(cfg.get('param_scheduler') or [])
        if not schedule.get('convert_to_iter_based') and 'Plateau' not in schedule['type']
    ]
    checkpoints = [(place, hook) for place, hook in parts.hooks() if _saves(hook)]
    for place, part in [*schedules, *checkpoints]:
        if part.get('by_epoch', True):
            raise UserError(
                f'{place} ({part["type"]}) has by_epoch=True, its default: in a training that '
                f'counts iterations it would never act; give {place}.by_epoch=False'
            )
    count = (cfg.get('optim_wrapper') or {}).get('accumulative_counts', 1)
    if count > loop.max_iters:
        raise UserError(
            f'optim_wrapper.accumulative_counts={count}: the training has {loop.max_iters} '
            'iterations, too few for one step of the optimizer; train longer (max_iters)'
        )


def _saves(hook: Mapping[str, Any]) -> bool:
    return hook['type'] == 'CheckpointHook'


def check_decay(cfg: Config) -> None:
    """Checks that a schedule of the weight decay changes no tensor without decay.

    Raises:
        UserError: If norms and tokens would decay.
    """
    for schedule in cfg.get('param_scheduler') or []:
        if schedule.get('param_name') == 'weight_decay' and schedule.get('eta_min'):
            raise UserError(
                f'{schedule.type} takes every weight decay to eta_min={schedule.eta_min}, that of '
                'norms and tokens, which is 0, too: give eta_min_ratio, the last decay divided by '
                'the first'
            )


def reach_length(content: Any, said: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Has everything that ended with the run end with its new length, in place.

    ``max_iters`` is the length of loop and schedules: a layer of a config that sets it sets all of
    them. ``train_cfg.max_iters`` is mmengine's word and ends the loop alone.

    Args:
        content: A config with the layer.
        said: The layer: nested content of a file, or options with dotted names.
        before: The config without the layer.

    Raises:
        UserError: If the layer sets both, to different numbers.

    Example:
        >>> from mmengine.config import ConfigDict
        >>> from rein_seg.config.schedule import reach_length
        >>> before = ConfigDict(max_iters=320, train_cfg=dict(max_iters=320, val_interval=320))
        >>> content = ConfigDict(max_iters=50, train_cfg=dict(max_iters=320, val_interval=320))
        >>> reach_length(content, dict(max_iters=50), before)
        >>> content.train_cfg
        {'max_iters': 50, 'val_interval': 50}
    """
    length = said.get('max_iters')
    nested = _dict(said, 'train_cfg').get('max_iters', said.get('train_cfg.max_iters'))
    if not isinstance(length, (int, float)):  # other values are refused by the checks of values
        return
    if nested is not None and nested != length:
        raise UserError(
            f'max_iters={length} and train_cfg.max_iters={nested} are both set: one run has one '
            'length, give max_iters alone'
        )
    loop = _dict(content, 'train_cfg')
    old = [before.get('max_iters'), _dict(before, 'train_cfg').get('max_iters')]
    parts = content.get('param_scheduler')
    listed = parts if isinstance(parts, list) else []
    schedules = [(schedule, 'end') for schedule in listed if isinstance(schedule, dict)]
    for node, key in [(loop, 'max_iters'), (loop, 'val_interval'), *schedules]:
        by_epoch = key == 'val_interval' and node.get(key) is None
        if key in node and node[key] in old and not by_epoch:
            node[key] = length


def _dict(content: Any, key: str) -> Any:
    part = content.get(key)
    return part if isinstance(part, Mapping) else {}


def fill_iterations(cfg: Config) -> None:
    """Turns ``epochs`` into iterations where the schedule leaves them open (None), in place.

    An epoch has as many iterations as batches, over all processes, cover the training images; the
    last batch may be smaller. Validation and checkpoints are by epoch, or at the end alone where
    ``val_interval`` is ``last``; schedules end with the run.

    Raises:
        UserError: If neither epochs nor iterations are given.
    """
    loop = cfg.train_cfg
    if loop.get('max_iters') is None and cfg.get('max_iters') is not None:
        loop['max_iters'] = cfg.max_iters
    by_epoch = 'val_interval' in loop and loop.val_interval is None
    each = _iterations_of_epoch(cfg) if by_epoch or loop.get('max_iters') is None else 0
    if loop.get('max_iters') is None:
        cfg.max_iters = loop['max_iters'] = _epochs(cfg) * each
    if loop.get('val_interval') == LAST:
        loop['val_interval'] = loop.max_iters
    if by_epoch:
        loop['val_interval'] = min(each, loop.max_iters)
    for schedule in cfg.get('param_scheduler') or []:
        if 'end' in schedule and schedule.end is None:
            schedule['end'] = loop.max_iters
    checkpoint = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    if 'interval' in checkpoint and checkpoint.interval is None:
        checkpoint['interval'] = loop.val_interval


def _iterations_of_epoch(cfg: Config) -> int:
    images = len(DATASETS.build(cfg.train_dataloader.dataset))
    return -(-images // (cfg.train_dataloader.batch_size * dist.get_world_size()))


def _epochs(cfg: Config) -> int:
    epochs = cfg.get('epochs')
    if not isinstance(epochs, int) or epochs < 1:
        raise UserError(
            f'the schedule counts in epochs, and epochs={epochs!r}: give epochs=30, or '
            'max_iters=10000 (iterations)'
        )
    return epochs
