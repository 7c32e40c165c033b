"""A rate that starts low and constant, then falls by a cosine."""

from __future__ import annotations

import math
from typing import Any

from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import _ParamScheduler
from mmseg.registry import PARAM_SCHEDULERS

from rein_seg.rules import NotNegative, Probability


@PARAM_SCHEDULERS.register_module()
class WarmupCosineLR(LRSchedulerMixin, _ParamScheduler):
    """A constant rate in the first part of the run, then lr (1 + cos(pi t / T)) / 2.

    t counts iterations since the warm-up, T those of the whole run, so that the last rate is above
    0. Parts of the model warm up for different times where ``paramwise_cfg.prefix_warmup`` of the
    optimizer says so.

    Args:
        optimizer: The optimizer.
        warmup: Part of the run, from 0 to 1.
        warmup_lr: The constant rate.
        begin: First iteration.
        end: Iteration behind the last.
        **kwargs: As mmengine's schedules.

    Source: the schedule of CoOp (Zhou et al., IJCV 2022) in its authors' toolbox. Differs from it:
    the rate changes by iteration, there by epoch.

    Example:
        >>> import torch
        >>> from rein_seg.engine.warmup_cosine import WarmupCosineLR
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        >>> schedule = WarmupCosineLR(optimizer, warmup=0.25, end=8, by_epoch=False)
        >>> rates = []
        >>> for _ in range(8):
        ...     rates.append(round(optimizer.param_groups[0]['lr'], 5))
        ...     optimizer.step()
        ...     schedule.step()
        >>> rates
        [1e-05, 1e-05, 0.1, 0.09619, 0.08536, 0.06913, 0.05, 0.03087]
    """

    def __init__(
        self,
        optimizer: Any,
        *,
        warmup: Probability,
        warmup_lr: NotNegative = 1e-5,
        begin: int = 0,
        end: int,
        **kwargs: Any,
    ) -> None:
        self.warmup, self.warmup_lr, self.length = warmup, warmup_lr, end - begin
        super().__init__(optimizer, begin=begin, end=end, **kwargs)

    def _get_value(self) -> list[float]:
        groups = zip(self.optimizer.param_groups, self.base_values, strict=True)
        return [self._rate(group.get('warmup', self.warmup), base) for group, base in groups]

    def _rate(self, warmup: float, base: float) -> float:
        past = self.last_step - round(warmup * self.length)
        if past < 0:
            return self.warmup_lr
        return base * (1 + math.cos(math.pi * past / self.length)) / 2
