"""Batches of several tasks in turn, as a pure function of (seed, position)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from mmseg.registry import DATA_SAMPLERS

from rein_seg.datasets.sampling.stream import SampleIndex, StreamSampler, stream_seed
from rein_seg.errors import UserError


@DATA_SAMPLERS.register_module()
class TaskSampler(StreamSampler):
    """Endless sampler whose batches hold one task each: the first, the second, ..., the first.

    Each task has epochs and permutations of its own, so a smaller data set is seen more often. All
    ranks train on the same task at the same time.

    Args:
        dataset: A `TaskDatasets`.
        batch_size: Of a rank; the run fills in its loader's.
        shuffle: Whether to shuffle each epoch of a task.
        seed: Seed, the same on every rank; None draws a seed.

    Raises:
        UserError: If the data are of one task.

    Example:
        >>> from itertools import islice
        >>> from types import SimpleNamespace
        >>> from rein_seg.datasets import TaskSampler
        >>> class Data(SimpleNamespace):
        ...     def __len__(self):
        ...         return 6
        >>> data = Data(indexes=lambda: {'a': [0, 1, 2, 3], 'b': [4, 5]})
        >>> sampler = TaskSampler(data, batch_size=2, shuffle=False, seed=0)
        >>> [int(index) for index in islice(sampler, 10)]
        [0, 1, 4, 5, 2, 3, 4, 5, 0, 1]
    """

    def __init__(
        self, dataset: Any, *, batch_size: int = 1, shuffle: bool = True, seed: int | None = None
    ) -> None:
        super().__init__(dataset, shuffle=shuffle, seed=seed)
        if not hasattr(dataset, 'indexes'):
            raise UserError(
                'train_dataloader.sampler TaskSampler lets tasks take turns, and the data are of '
                "one task: expected TaskDatasets; set sampler=dict(type='StreamSampler')"
            )
        self.of_tasks = list(dataset.indexes().values())
        self.batch = batch_size * self.world_size
        self._orders = lru_cache(maxsize=2 * len(self.of_tasks))(self._order)

    def at(self, position: int) -> SampleIndex:
        """Returns the index at one position of the stream that all ranks share."""
        step, place = divmod(position, self.batch)
        turn, task = divmod(step, len(self.of_tasks))
        indexes = self.of_tasks[task]
        epoch, at = divmod(turn * self.batch + place, len(indexes))
        if self.shuffle:
            at = self._orders(task, epoch)[at]
        return SampleIndex(indexes[at], stream_seed(self.seed, position))

    def _order(self, task: int, epoch: int) -> list[int]:
        generator = np.random.default_rng((self.seed, task, epoch))
        return generator.permutation(len(self.of_tasks[task])).tolist()
