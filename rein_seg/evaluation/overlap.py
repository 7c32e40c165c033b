"""An evaluator that measures one batch while the next is computed."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from mmengine.evaluator import Evaluator
from mmengine.structures import BaseDataElement

_WAITING = 2  # batches at most: each holds maps in the size of its images


class OverlappingEvaluator(Evaluator):
    """Gives batches to the metrics in a thread, in their order.

    So the model goes on while labels are counted and pictures are written. What a metric raises
    comes out of the next `process`, or of `evaluate`.

    Args:
        metrics: As mmengine's `Evaluator`.
    """

    def __init__(self, metrics: Any) -> None:
        super().__init__(metrics)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix='metrics')
        self._pending: deque[Future] = deque()

    def process(self, data_samples: Sequence[Any], data_batch: Any = None) -> None:
        """Has a batch measured."""
        samples = [s.to_dict() if isinstance(s, BaseDataElement) else s for s in data_samples]
        self._wait(_WAITING - 1)
        self._pending.append(self._thread.submit(self._measure, samples, data_batch))

    def evaluate(self, size: int) -> dict[str, float]:
        """Returns the scores, once all batches are measured."""
        self._wait(0)
        return super().evaluate(size)

    def _measure(self, samples: list[dict], data_batch: Any) -> None:
        for metric in self.metrics:
            metric.process(data_batch, samples)

    def _wait(self, most: int) -> None:
        """Waits until ``most`` batches are left, and raises what they raised."""
        while len(self._pending) > most or (self._pending and self._pending[0].done()):
            self._pending.popleft().result()
