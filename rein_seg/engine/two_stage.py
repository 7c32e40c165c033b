"""A rate that rises for the heads first, then for the encoder, and falls by a polynomial.

t iterations done, T of the whole run, w1 and w2 of the two warm-ups.
"""

from __future__ import annotations

from typing import Any

from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import _ParamScheduler
from mmseg.registry import PARAM_SCHEDULERS

from rein_seg.errors import UserError
from rein_seg.rules import NotNegative

LATE = 'late'  # key of the optimizer's groups that rise second


@PARAM_SCHEDULERS.register_module()
class TwoStagePolyLR(LRSchedulerMixin, _ParamScheduler):
    """Linear warm-ups of the heads, then of the encoder, each followed by a polynomial to 0.

    Heads: t / w1, then (1 - (t - w1) / (T - w1)) ** power of their rate. Encoder: 0 until w1, then
    (t - w1) / w2, then (1 - (t - w1 - w2) / (T - w1 - w2)) ** power. The encoder, with its method,
    is what ``paramwise_cfg.late_prefixes`` of the optimizer names, such as ``['backbone.']``; a
    frozen encoder has no group, and the heads follow their part alone.

    Args:
        optimizer: The optimizer.
        warmup: w1 and w2.
        power: Of the polynomial.
        begin: First iteration.
        end: Iteration behind the last.
        **kwargs: As mmengine's schedules.

    Raises:
        UserError: If the warm-ups take the whole run.

    Source: the schedule of Kerssies et al., "Your ViT is Secretly an Image Segmentation Model"
    (CVPR 2025).

    Example:
        >>> import torch
        >>> from rein_seg.engine.two_stage import TwoStagePolyLR
        >>> heads, encoder = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
        >>> optimizer = torch.optim.SGD([dict(params=[heads]), dict(params=[encoder], late=True)],
        ...     lr=1.0)
        >>> schedule = TwoStagePolyLR(optimizer, warmup=(2, 2), power=1.0, end=8, by_epoch=False)
        >>> for _ in range(6):
        ...     print([round(group['lr'], 3) for group in optimizer.param_groups])
        ...     optimizer.step()
        ...     schedule.step()
        [0.0, 0.0]
        [0.5, 0.0]
        [1.0, 0.0]
        [0.833, 0.5]
        [0.667, 1.0]
        [0.5, 0.75]
    """

    def __init__(
        self,
        optimizer: Any,
        *,
        warmup: tuple[NotNegative, NotNegative],
        power: float = 0.9,
        begin: int = 0,
        end: int,
        **kwargs: Any,
    ) -> None:
        self.warmup, self.power, self.length = tuple(warmup), power, end - begin
        if sum(self.warmup) >= self.length:
            raise UserError(
                f'TwoStagePolyLR: the warm-ups {self.warmup} take {sum(self.warmup)} iterations, '
                f'and the run has {self.length}: train longer (max_iters) or shorten warmup'
            )
        super().__init__(optimizer, begin=begin, end=end, **kwargs)

    def _get_value(self) -> list[float]:
        groups = zip(self.optimizer.param_groups, self.base_values, strict=True)
        return [base * self._share(group.get(LATE, False)) for group, base in groups]

    def _share(self, late: bool) -> float:
        first, second = self.warmup
        start, length = (first, second) if late else (0, first)
        past = self.last_step - start
        if past < 0:
            return 0.0
        if past < length:
            return past / length
        left = self.length - start - length
        return max(1 - (past - length) / left, 0.0) ** self.power
