"""A rate that rises linearly from 0, then falls by a cosine to its least value."""

from __future__ import annotations

import math
from typing import Any

from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import _ParamScheduler
from mmseg.registry import PARAM_SCHEDULERS

from rein_seg.errors import UserError
from rein_seg.rules import NotNegative


@PARAM_SCHEDULERS.register_module()
class LinearCosineLR(LRSchedulerMixin, _ParamScheduler):
    """The rate times t / w, then eta_min + (lr - eta_min) (1 + cos(pi (t - w) / (T - w))) / 2.

    t counts iterations, w those of the warm-up, T those of the whole run. The first iteration has
    the rate 0.

    Args:
        optimizer: The optimizer.
        warmup: w.
        eta_min: The last rate.
        begin: First iteration.
        end: Iteration behind the last.
        **kwargs: As mmengine's schedules.

    Raises:
        UserError: If the warm-up takes the whole run.

    Source: the schedule of the authors of PMT (CVPR 2026 workshops).

    Example:
        >>> import torch
        >>> from rein_seg.engine.linear_cosine import LinearCosineLR
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        >>> schedule = LinearCosineLR(optimizer, warmup=2, end=6, by_epoch=False)
        >>> rates = []
        >>> for _ in range(6):
        ...     rates.append(round(optimizer.param_groups[0]['lr'], 5))
        ...     optimizer.step()
        ...     schedule.step()
        >>> rates
        [0.0, 0.05, 0.1, 0.08536, 0.05, 0.01464]
    """

    def __init__(
        self,
        optimizer: Any,
        *,
        warmup: NotNegative,
        eta_min: NotNegative = 0.0,
        begin: int = 0,
        end: int,
        **kwargs: Any,
    ) -> None:
        self.warmup, self.eta_min, self.length = warmup, eta_min, end - begin
        if warmup >= self.length:
            raise UserError(
                f'LinearCosineLR: the warm-up takes {warmup} iterations, and the run has '
                f'{self.length}: train longer (max_iters) or shorten warmup'
            )
        super().__init__(optimizer, begin=begin, end=end, **kwargs)

    def _get_value(self) -> list[float]:
        return [self._rate(base) for base in self.base_values]

    def _rate(self, base: float) -> float:
        past = self.last_step - self.warmup
        if past < 0:
            return base * self.last_step / self.warmup
        angle = math.pi * past / (self.length - self.warmup)
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(angle)) / 2
