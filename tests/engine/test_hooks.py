"""Hooks of training: which scores are better, found by their names."""

import pytest

from rein_seg.engine import PatienceHook
from rein_seg.engine.checkpoint_hook import CheckpointHook


@pytest.mark.parametrize(
    'score', ['clear/mIoU', 'clear/hIoU', 'kvasir/IoU_image', 'clear/S', 'fog/U', 'organs/Dice']
)
def test_more_of_a_share_is_better_without_a_rule(score):
    assert PatienceHook(score).rule == 'greater'
    hook = CheckpointHook(interval=1, save_best=score)
    assert hook.rules == ['greater']
