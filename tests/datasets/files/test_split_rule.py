"""A rule divides images by groups, the same way everywhere."""

from collections import Counter

import pytest

from rein_seg.datasets.files.split_rule import divide, group_of
from rein_seg.errors import UserError

VIDEOS = [f'{video}/{video}_f{i:05}' for video in 'abcdefghij' for i in range(10)]


def part_of(names, **rule):
    parts = divide(names, {'val': 0.2, 'by': 'sequence', 'seed': 0, **rule})
    return dict(zip(names, parts, strict=True))


@pytest.mark.parametrize('by', ['image', 'folder', 'sequence', 'tail'])
def test_shares(by):
    assert Counter(part_of(VIDEOS, by=by).values()) == {'train': 80, 'val': 20}
    three = Counter(part_of(VIDEOS, by=by, test=0.1).values())
    assert three == {'train': 70, 'val': 20, 'test': 10}


@pytest.mark.parametrize('by', ['folder', 'sequence'])
def test_a_group_is_in_one_part(by):
    parts = part_of(VIDEOS, by=by)
    for video in 'abcdefghij':
        assert len({part for name, part in parts.items() if name.startswith(video)}) == 1


def test_a_tail_is_the_end_of_each_sequence():
    parts = part_of(VIDEOS, by='tail')
    assert [parts[f'c/c_f{i:05}'] for i in range(10)] == ['train'] * 8 + ['val'] * 2


def test_order_and_machine_play_no_part_but_the_seed_does():
    assert part_of(VIDEOS) == part_of(VIDEOS[::-1])
    seeds = [tuple(sorted(part_of(VIDEOS, seed=seed).items())) for seed in range(5)]
    assert len(set(seeds)) > 1


def test_new_images_move_few_others():
    before = part_of(VIDEOS, by='image')
    after = part_of([*VIDEOS, *(f'k/k_f{i:05}' for i in range(5))], by='image')
    assert sum(before[name] != after[name] for name in VIDEOS) <= 5


@pytest.mark.parametrize(
    ('name', 'group'),
    [
        ('0001TP_006690', '0001TP'),
        ('0006R0_f00930', '0006R0'),
        ('aachen/aachen_000000_000019_leftImg8bit', 'aachen/aachen_000000'),
        ('video.frame_12', 'video'),
        ('0001', ''),
        ('street', 'street'),
    ],
)
def test_sequences(name, group):
    assert group_of(name, 'sequence') == group


@pytest.mark.parametrize(
    ('names', 'rule', 'words'),
    [
        (['a'], {'val': 0.2}, 'leaves no image for'),
        (['a_1', 'a_2'], {'val': 0.2, 'by': 'sequence'}, 'are in 1 groups'),
        (['a', 'b'], {'val': 0.7, 'test': 0.5}, 'expected shares above 0'),
        (['a', 'b'], {'val': 0.2, 'by': 'video'}, "split.by='video'; known: 'folder'"),
    ],
)
def test_rules_that_divide_nothing(names, rule, words):
    with pytest.raises(UserError, match=words):
        divide(names, rule)
