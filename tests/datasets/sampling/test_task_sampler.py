"""Batches of several tasks: one task each, in turn, the same after a resume."""

from itertools import islice

import pytest

from rein_seg.datasets import MiniScapesDataset, TaskDatasets, TaskSampler
from rein_seg.errors import UserError


class Data:
    def __init__(self, **sizes):
        self.sizes = sizes

    def __len__(self):
        return sum(self.sizes.values())

    def indexes(self):
        found, at = {}, 0
        for name, size in self.sizes.items():
            found[name], at = list(range(at, at + size)), at + size
        return found


def first(sampler, count):
    return [(int(index), index.seed) for index in islice(sampler, count)]


def test_batches_hold_one_task_each_in_turn():
    sampler = TaskSampler(Data(a=7, b=3, c=5), batch_size=4, seed=0)
    order = [index for index, _ in first(sampler, 4 * 12)]
    batches = [order[i : i + 4] for i in range(0, len(order), 4)]
    ranges = (range(7), range(7, 10), range(10, 15))
    for step, found in enumerate(batches):
        assert set(found) <= set(ranges[step % 3])
    of_a = [index for found in batches[::3] for index in found]
    assert sorted(of_a[:7]) == list(range(7))  # an epoch of a task has each of its images once
    assert sorted(of_a[7:14]) == list(range(7))
    assert of_a[:7] != of_a[7:14]


def test_the_order_goes_on_after_a_resume():
    sizes = dict(a=7, b=3)
    whole = first(TaskSampler(Data(**sizes), batch_size=2, seed=3), 20)
    resumed = TaskSampler(Data(**sizes), batch_size=2, seed=3)
    resumed.skip(6)
    assert first(resumed, 14) == whole[6:]
    assert first(TaskSampler(Data(**sizes), batch_size=2, seed=4), 20) != whole


def test_ranks_train_on_the_same_task():
    sampler = TaskSampler(Data(a=8, b=8), batch_size=2, seed=0)
    every = {}
    for rank in range(2):
        sampler.rank, sampler.world_size, sampler.batch = rank, 2, 4
        every[rank] = [index for index, _ in first(sampler, 8)]
    tasks = [[index // 8 for index in every[rank]] for rank in range(2)]
    assert tasks[0] == tasks[1] == [0, 0, 1, 1, 0, 0, 1, 1]
    assert not set(every[0][:2]) & set(every[1][:2])


def test_one_task_needs_no_turns():
    with pytest.raises(UserError, match='TaskSampler lets tasks take turns'):
        TaskSampler(range(4), batch_size=2)


def test_data_sets_name_their_tasks(tmp_path):
    small = dict(split='val', count=2, size=(64, 32), data_root=str(tmp_path))
    road = dict(type='MiniRoadsDataset', domain='fog', task='road', **small)
    every = dict(type='MiniScapesDataset', domain='fog', task='all', **small)
    both = TaskDatasets([every, road])
    meta = both.metainfo
    assert list(meta['tasks']) == ['all', 'road']
    assert meta['classes'] == (*MiniScapesDataset.METAINFO['classes'], 'background')
    assert len(meta['palette']) == 20
    assert both.indexes() == {'all': [0, 1], 'road': [2, 3]}
    assert both.of('road').metainfo['classes'] == ('background', 'road')
    assert both.get_data_info(2)['task'] == 'road'
    with pytest.raises(UserError, match="domain 'fog' names no task"):
        TaskDatasets([every, {**road, 'task': None}])
    with pytest.raises(UserError, match="task 'all' has data sets of the classes"):
        TaskDatasets([every, {**road, 'task': 'all'}])
