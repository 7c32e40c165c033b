import pickle
import random
from itertools import islice

import numpy as np
import torch
from torch.utils.data import DataLoader

from rein_seg.datasets.sampling.stream import SampleIndex, SeededDataset, StreamSampler, stream_seed


class Noise:
    """A data set whose samples hold what its random transforms drew."""

    metainfo = dict(classes=('a',))

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return index, random.random(), np.random.rand()  # noqa: NPY002  as transforms do


def take(sampler, number):
    return [(int(i), i.seed) for i in islice(iter(sampler), number)]


def test_every_epoch_is_a_permutation_of_its_own():
    stream = [i for i, _ in take(StreamSampler(range(10), seed=1), 30)]
    epochs = [stream[:10], stream[10:20], stream[20:]]
    assert all(sorted(e) == list(range(10)) for e in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_skipping_is_walking():
    walked = take(StreamSampler(range(10), seed=1), 40)
    skipped = StreamSampler(range(10), seed=1)
    skipped.skip(27)
    assert take(skipped, 13) == walked[27:]


def test_ranks_share_the_stream(monkeypatch):
    single = take(StreamSampler(range(10), seed=3), 20)
    ranks = []
    for rank in range(2):
        sampler = StreamSampler(range(10), seed=3)
        sampler.rank, sampler.world_size = rank, 2
        ranks.append(take(sampler, 10))
    assert [pair for both in zip(*ranks, strict=True) for pair in both] == single


def test_transforms_draw_the_same_in_any_process():
    def load(workers, skip=0):
        sampler = StreamSampler(Noise(), seed=1)
        sampler.skip(skip)
        loader = DataLoader(
            SeededDataset(Noise()), batch_size=2, sampler=sampler, num_workers=workers
        )
        return [torch.stack([t.double() for t in batch]) for batch in islice(loader, 6)]

    here, there = load(0), load(2)
    assert all(torch.equal(a, b) for a, b in zip(here, there, strict=True))
    later = load(2, skip=4)
    assert torch.equal(later[0], here[2])
    assert not torch.equal(here[0][1:], here[1][1:])


def test_seeds_differ_between_positions_and_runs():
    seeds = {stream_seed(run, position) for run in range(3) for position in range(100)}
    assert len(seeds) == 300


def test_index_survives_pickling_and_plain_indexes_pass():
    index = pickle.loads(pickle.dumps(SampleIndex(3, 77)))
    assert (int(index), index.seed) == (3, 77)
    dataset = SeededDataset(Noise())
    assert dataset[4][0] == 4
    assert dataset.metainfo == Noise.metainfo
    assert len(pickle.loads(pickle.dumps(dataset))) == 10
