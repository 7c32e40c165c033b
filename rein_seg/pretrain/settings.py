"""Settings of a pretraining run, and budgets by name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from rein_seg.errors import UserError

Run = TypeVar('Run')


def check_settings(settings: Any, counts: Sequence[str]) -> None:
    """Checks numbers of a run, before work starts.

    Args:
        settings: Settings with ``seed`` and ``lr``.
        counts: Names of the settings that are 1 or more.

    Raises:
        UserError: If a number is out of its range.
    """
    for name in counts:
        if getattr(settings, name) < 1:
            raise UserError(f'{name}={getattr(settings, name)!r}: expected 1 or more; change it')
    if settings.seed < 0:
        raise UserError(f'seed={settings.seed}: expected 0 or more; change it')
    if not 0 < settings.lr < math.inf:
        raise UserError(f'lr={settings.lr}: expected a number above 0, such as 0.001; change it')


@dataclass(frozen=True)
class PretrainSettings:
    """Settings of a run; equal settings give equal weights on the same kind of machine.

    Args:
        steps: Number of optimiser steps.
        scenes: Number of new streets a step.
        looks: Number of random looks of each street.
        size: (width, height) of the pictures in pixels.
        keep: Share of the patches that the encoder sees.
        guess: Share of all patches that are predicted without being seen.
        lr: Peak learning rate.
        warmup: Share of the steps in which the learning rate rises.
        weight_decay: Weight decay of matrices.
        momentum: Momentum of Muon.
        seed: Seed of streets, looks, masks and initial weights.
        save_every: Number of steps between checkpoints.
    """

    steps: int
    scenes: int = 8
    looks: int = 2
    size: tuple[int, int] = (256, 128)
    keep: float = 0.4
    guess: float = 0.25
    lr: float = 4e-3
    warmup: float = 0.05
    weight_decay: float = 0.05
    momentum: float = 0.95
    seed: int = 0
    save_every: int = 50

    def __post_init__(self) -> None:
        check_settings(self, ('steps', 'scenes', 'looks', 'save_every'))
        if not (0 < self.keep < 1 and 0 < self.guess <= 1 - self.keep):
            raise UserError(
                f'keep={self.keep}, guess={self.guess}: expected shares of the patches above 0 '
                'that together are at most 1'
            )


BUDGETS = {
    'full': PretrainSettings(steps=1500),
    'small': PretrainSettings(steps=300),
    'smoke': PretrainSettings(steps=6, scenes=2, save_every=2),
}


def chosen(budget: str, **changes: object) -> PretrainSettings:
    """Returns a budget's settings with changes; None keeps a setting.

    Raises:
        UserError: If the budget is not known, or as `PretrainSettings`.

    Example:
        >>> from rein_seg.pretrain.settings import chosen
        >>> run = chosen('small', seed=3, lr=None)
        >>> run.steps, run.seed, run.lr
        (300, 3, 0.004)
    """
    return of_budget(BUDGETS, budget, changes)


def of_budget(budgets: Mapping[str, Run], budget: str, changes: Mapping[str, object]) -> Run:
    """Returns the settings of a budget with changes; see `chosen`.

    Args:
        budgets: Settings by name.
        budget: A name.
        changes: Settings that replace the budget's; None keeps a setting.

    Raises:
        UserError: If the budget is not known, or a setting is out of its range.
    """
    if budget not in budgets:
        raise UserError(f'budget={budget!r}: expected one of {tuple(budgets)}')
    return replace(budgets[budget], **{k: v for k, v in changes.items() if v is not None})
