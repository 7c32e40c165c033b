"""Frames by name and by rule."""

import pytest

from rein_seg.compare.frames.choice import choose_frames, named_frames
from rein_seg.errors import UserError

FIRST = dict.fromkeys('abcde', 40.0)
LAST = dict(a=43.0, b=38.0, c=41.0, d=50.0, e=40.5)


def test_ranks_of_the_difference_are_spread_evenly():
    scores = {'Frozen': FIRST, 'other': {}, 'LoRA': LAST}
    chosen = choose_frames(scores, 3)
    assert chosen.frames == {'b': 'lowest, -2.0', 'c': 'median, +1.0', 'd': 'highest, +10.0'}
    assert chosen.rule == (
        'frames by mIoU of LoRA less mIoU of Frozen among 5: lowest, median, highest'
    )
    assert choose_frames(scores, 1).frames == {'c': 'median, +1.0'}
    assert list(choose_frames(scores, 2).frames) == ['b', 'd']
    assert list(choose_frames(scores, 4).frames) == ['b', 'e', 'a', 'd']
    assert choose_frames(scores, 4).frames['e'] == 'rank 2 of 5, +0.5'
    assert len(choose_frames(scores, 9).frames) == 5


def test_equal_differences_are_ordered_by_name_and_unlabelled_frames_left_out():
    last = dict(c=40.0, a=40.0, b=40.0, e=None)
    chosen = choose_frames({'one': FIRST, 'two': last}, 3)
    assert list(chosen.frames) == ['a', 'b', 'c']
    assert 'among 3' in chosen.rule
    with pytest.raises(UserError, match='no frame of the domain has a labelled pixel'):
        choose_frames({'one': {'a': None}, 'two': {'a': None}}, 3)


def test_a_single_run_is_ordered_by_its_scores():
    chosen = choose_frames({'LoRA': LAST}, 3)
    assert chosen.frames == {'b': 'lowest, 38.0', 'c': 'median, 41.0', 'd': 'highest, 50.0'}
    assert chosen.rule.startswith('frames by mIoU of LoRA among 5')


def test_frames_are_named_with_or_without_their_end():
    assert list(named_frames(['b.png', 'a'], ['a', 'b', 'c']).frames) == ['b', 'a']
    for given, message in (
        (['frame1'], "--frames 'frame1' is no frame of the domain; did you mean 'frame_1'"),
        (['zzz'], "'zzz' is no frame of the domain; it has 2, such as 'frame_1'"),
        (['other', 'other.png'], "'other.png' comes twice"),
    ):
        with pytest.raises(UserError, match=message):
            named_frames(given, ['frame_1', 'other'])
