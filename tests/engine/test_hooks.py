"""Hooks of training: which scores are better, found by their names."""

import pytest

from rein_seg.engine import PatienceHook
from rein_seg.engine.checkpoint_hook import CheckpointHook


@pytest.mark.parametrize('score', ['clear/mIoU', 'clear/hIoU', 'kvasir/IoU_image'])
def test_more_of_an_iou_is_better_without_a_rule(score):
    assert PatienceHook(score).rule == 'greater'
    hook = CheckpointHook(interval=1, save_best=score)
    assert hook.rules == ['greater']
