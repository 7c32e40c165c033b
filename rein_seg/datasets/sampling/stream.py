"""A data order that is a pure function of (seed, position), so that resuming is exact and free.

The sampler computes the sample at any position without walking to it. The sample carries a seed
made from the same numbers, and its transforms draw from this seed in whatever process they run.
Nothing has to be saved, replayed or skipped.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sized
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_dist_info, sync_random_seed
from mmseg.registry import DATA_SAMPLERS
from torch.utils.data import Dataset, Sampler


class SampleIndex(int):
    """An index into a data set that carries the seed of its random transforms."""

    seed: int
    # fields added to the sample, beside the data set's own
    fields: Mapping[str, Any] = MappingProxyType({})

    def __new__(cls, index: int, seed: int) -> SampleIndex:
        """Returns ``index`` with ``seed``."""
        self = super().__new__(cls, index)
        self.seed = seed
        return self

    def __reduce__(self) -> tuple:
        return SampleIndex, (int(self), self.seed)


@DATA_SAMPLERS.register_module()
class StreamSampler(Sampler):
    """Endless sampler: epoch after epoch, each a permutation of its own, split over the ranks.

    Args:
        dataset: Data set to sample from.
        shuffle: Whether to shuffle each epoch.
        seed: Seed, the same on every rank; None draws a seed.

    Example:
        >>> from itertools import islice
        >>> from rein_seg.datasets import StreamSampler
        >>> sampler = StreamSampler(range(4), seed=0)
        >>> order = [int(index) for index in islice(sampler, 8)]  # two epochs
        >>> sampler.skip(5)  # as resuming does
        >>> [int(index) for index in islice(sampler, 3)] == order[5:]
        True
    """

    def __init__(self, dataset: Sized, *, shuffle: bool = True, seed: int | None = None) -> None:
        self.rank, self.world_size = get_dist_info()
        self.size = len(dataset)
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else seed
        self._start = 0
        # two epochs: a batch may cross from one to the next
        self._permutation = lru_cache(maxsize=2)(self._permute)

    def __iter__(self) -> Iterator[SampleIndex]:
        position = self._start * self.world_size + self.rank
        while True:
            yield self.at(position)
            position += self.world_size

    def at(self, position: int) -> SampleIndex:
        """Returns the index at one position of the stream that all ranks share."""
        epoch, step = divmod(position, self.size)
        index = self._permutation(epoch)[step] if self.shuffle else step
        return SampleIndex(index, stream_seed(self.seed, position))

    def __len__(self) -> int:
        return self.size

    def skip(self, num_samples: int) -> None:
        """Starts the next iteration after ``num_samples`` samples of this rank."""
        self._start = num_samples

    def set_epoch(self, epoch: int) -> None:
        """Does nothing: the stream has no outer epochs."""

    def _permute(self, epoch: int) -> list[int]:
        generator = np.random.default_rng((self.seed, epoch))
        return generator.permutation(self.size).tolist()


class SeededDataset(Dataset):
    """Seeds the random transforms of a sample from its `SampleIndex`.

    All other attributes are the wrapped data set's.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __getattr__(self, name: str) -> Any:
        if name == 'dataset':  # not set yet while unpickling: avoids endless recursion
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        if isinstance(index, SampleIndex):
            seed_everything(index.seed, torch_too=False)
            if index.fields:
                leaf, at = _leaf_of(self.dataset, int(index))
                return leaf.pipeline({**leaf.get_data_info(at), **index.fields})
        return self.dataset[int(index)]


def _leaf_of(dataset: Any, index: int) -> tuple[Any, int]:
    """Returns the data set inside ConcatDataset and the like that holds a sample, and its index."""
    while hasattr(dataset, '_get_ori_dataset_idx'):
        place = dataset._get_ori_dataset_idx(index)
        if isinstance(place, tuple):
            dataset, index = dataset.datasets[place[0]], place[1]
        else:
            dataset, index = dataset.dataset, place
    return dataset, index


def is_stream(sampler: Mapping[str, Any] | None) -> bool:
    """Tells whether a sampler's config builds a `StreamSampler` or a subclass.

    Example:
        >>> from rein_seg.datasets.sampling.stream import is_stream
        >>> is_stream(dict(type='RareClassSampler')), is_stream(dict(type='DefaultSampler'))
        (True, False)
    """
    name = (sampler or {}).get('type')
    kind = DATA_SAMPLERS.get(name) if isinstance(name, str) else name
    return isinstance(kind, type) and issubclass(kind, StreamSampler)


def stream_seed(seed: int, position: int) -> int:
    """Returns a 32-bit seed for one position of a stream of random numbers."""
    return int(np.random.SeedSequence((seed, position)).generate_state(1)[0])


def seed_everything(seed: int, *, torch_too: bool = True) -> None:
    """Seeds the global generators of Python and NumPy, which transforms use, and of PyTorch."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  mmcv's transforms draw from the global generator
    if torch_too:
        torch.manual_seed(seed)
