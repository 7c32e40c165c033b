"""Checks of a config that trains a generator against a critic."""

from __future__ import annotations

from collections.abc import Iterator

from mmengine.config import Config
from mmseg.registry import MODELS

from rein_seg.errors import UserError
from rein_seg.models.adversarial import AdversarialSegmentor

_CONSTRUCTOR = 'AdversarialOptimConstructor'


def check_adversary(cfg: Config) -> None:
    """Checks that an adversarial model has two optimizers, in float32, and other models one.

    Args:
        cfg: Of a training run, resolved.

    Raises:
        UserError: For the first thing that does not fit.

    Example:
        >>> from mmengine.config import Config
        >>> from rein_seg.config.adversary import check_adversary
        >>> cfg = dict(model=dict(type='AdversarialSegmentor'), optim_wrapper=dict(optimizer={}))
        >>> check_adversary(Config(cfg))
        Traceback (most recent call last):
        rein_seg.errors.UserError: optim_wrapper.critic=None: AdversarialSegmentor trains a critic
        with an optimizer of its own; give optim_wrapper.critic=dict(optimizer=...)
    """
    model, wrapper = MODELS.get(cfg.model.type), cfg.optim_wrapper
    adversarial = isinstance(model, type) and issubclass(model, AdversarialSegmentor)
    if not adversarial:
        if wrapper.get('critic') is not None or wrapper.get('constructor') == _CONSTRUCTOR:
            raise UserError(
                f'optim_wrapper has a critic, model.type={cfg.model.type!r} has none: take '
                'AdversarialSegmentor, or constructor=TrainableOptimConstructor and critic=None'
            )
        return
    for fault in _faults(cfg):
        raise UserError(fault)


def _faults(cfg: Config) -> Iterator[str]:
    wrapper = cfg.optim_wrapper
    critic = wrapper.get('critic')
    if critic is None:
        yield (
            f'optim_wrapper.critic=None: {cfg.model.type} trains a critic with an optimizer of its '
            'own; give optim_wrapper.critic=dict(optimizer=...)'
        )
        return
    if wrapper.get('constructor') != _CONSTRUCTOR:
        yield (
            f'optim_wrapper.constructor={wrapper.get("constructor")!r} builds one optimizer, '
            f'{cfg.model.type} has two: set it to {_CONSTRUCTOR}'
        )
    for place, part in (('optim_wrapper', wrapper), ('optim_wrapper.critic', critic)):
        if part.get('type', 'OptimWrapper') != 'OptimWrapper':
            yield (
                f'{place}.type={part["type"]!r}: the penalty on the gradient of the critic needs '
                'float32, so the training takes no autocast; leave out --amp and the type'
            )
        if part.get('accumulative_counts', 1) != 1:
            yield (
                f'{place}.accumulative_counts={part["accumulative_counts"]}: generator and critic '
                'update in turn, in every iteration; set it to 1 and choose the batch size'
            )
    if cfg.get('compile'):
        yield (
            f'compile={cfg["compile"]!r}: the gradient of the critic is differentiated again, '
            'which compiled code cannot; set compile=False'
        )
    if cfg.get('launcher', 'none') != 'none':
        yield (
            f'launcher={cfg.launcher!r}: {cfg.model.type} trains in one process, since the '
            'distributed wrapper has one loss a step; leave out --launcher'
        )
