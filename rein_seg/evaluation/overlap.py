"""An evaluator that measures a batch while the model computes the next batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from mmengine.evaluator import Evaluator
from mmengine.structures import BaseDataElement

_WAITING = 2  # batches: each holds maps in the size of its images


class OverlappingEvaluator(Evaluator):
    """Runs the metrics in a thread, batch after batch.

    The model continues while labels are counted and pictures are written. An error in a metric is
    raised by the next `process`, or by `evaluate`.

    Args:
        metrics: As mmengine's `Evaluator`.
    """

    def __init__(self, metrics: Any) -> None:
        super().__init__(metrics)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix='metrics')
        self._pending: deque[Future] = deque()

    def process(self, data_samples: Sequence[Any], data_batch: Any = None) -> None:
        """Hands a batch to the thread."""
        samples = [s.to_dict() if isinstance(s, BaseDataElement) else s for s in data_samples]
        self._wait(_WAITING - 1)
        self._pending.append(self._thread.submit(self._measure, samples, data_batch))

    def evaluate(self, size: int) -> dict[str, float]:
        """Waits for all batches and returns the scores."""
        self._wait(0)
        return super().evaluate(size)

    def _measure(self, samples: list[dict], data_batch: Any) -> None:
        for metric in self.metrics:
            metric.process(data_batch, samples)

    def _wait(self, most: int) -> None:
        """Waits until at most ``most`` batches are left, and raises their errors."""
        while len(self._pending) > most or (self._pending and self._pending[0].done()):
            self._pending.popleft().result()
