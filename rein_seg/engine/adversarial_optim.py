"""Two optimizers: of a generator and of its critic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from rein_seg.engine.optim import TrainableOptimConstructor


class AdversarialOptimWrapper(OptimWrapperDict):
    """The wrappers ``generator`` and ``critic``; both update in every iteration.

    The generator's rate is logged as ``lr``, the critic's as ``critic_lr``.
    """

    _accumulative_counts = 1

    def should_update(self) -> bool:
        """Whether an iteration ends with an update: each does."""
        return True

    def get_lr(self) -> dict[str, list[float]]:
        """Returns the rates by their names in the log."""
        rates = self.optim_wrappers['generator'].get_lr()
        return {**rates, 'critic_lr': self.optim_wrappers['critic'].get_lr()['lr']}


class _CriticConstructor(TrainableOptimConstructor):
    place = 'optim_wrapper.critic'


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class AdversarialOptimConstructor:
    """Builds the critic of an `AdversarialSegmentor`, and the optimizers of both.

    Args:
        optim_wrapper_cfg: As of `TrainableOptimConstructor`, for the generator, with a key
            ``critic``: ``optimizer``, and where wanted ``paramwise_cfg`` and ``clip_grad``, for
            the critic.
        paramwise_cfg: Of the generator.

    Raises:
        UserError: As `TrainableOptimConstructor`.
    """

    def __init__(
        self, optim_wrapper_cfg: dict, paramwise_cfg: Mapping[str, Any] | None = None
    ) -> None:
        generator = dict(optim_wrapper_cfg)
        critic = dict(generator.pop('critic'))
        self.generator = TrainableOptimConstructor(generator, paramwise_cfg)
        self.critic = _CriticConstructor(critic, critic.pop('paramwise_cfg', None))

    def __call__(self, model: nn.Module) -> AdversarialOptimWrapper:
        """Returns the wrappers of the optimizers of ``model``, which gets its critic."""
        model = model.module if is_model_wrapper(model) else model
        generator = self.generator(model)
        model.build_training_parts()
        critic = self.critic(model.critic)
        if critic.clip_grad_kwargs:
            critic.grad_name = f'critic_{critic.grad_name}'
        return AdversarialOptimWrapper(generator=generator, critic=critic)


def each_wrapper(wrapper: OptimWrapper) -> dict[str, OptimWrapper]:
    """Returns the wrappers of single optimizers by name, of one alone with the name ''.

    Example:
        >>> import torch
        >>> from mmengine.optim import OptimWrapper, OptimWrapperDict
        >>> from rein_seg.engine.adversarial_optim import each_wrapper
        >>> one = OptimWrapper(torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=0.1))
        >>> list(each_wrapper(one)), list(each_wrapper(OptimWrapperDict(critic=one)))
        ([''], ['critic'])
    """
    return dict(wrapper.items()) if isinstance(wrapper, OptimWrapperDict) else {'': wrapper}


def by_name(parts: Any) -> dict[str, Any]:
    """Returns states or schedules of several optimizers by name, of one alone with the name ''.

    Args:
        parts: A list of schedules, or name -> list of them.

    Example:
        >>> from rein_seg.engine.adversarial_optim import by_name
        >>> by_name([1, 2]), by_name({'critic': [1]})
        ({'': [1, 2]}, {'critic': [1]})
    """
    return {'': list(parts)} if isinstance(parts, Sequence) else dict(parts)
