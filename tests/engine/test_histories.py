"""Log histories in checkpoints: as short as log lines allow, with the same means."""

import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import LogProcessor

from rein_seg.engine.histories import longest_window, shortened

VALUES = torch.rand(50, generator=torch.Generator().manual_seed(0)).double().tolist()


def short(history, window=10):
    return shortened(dict(log_scalars={'loss': history}), window)['log_scalars']['loss']


def extended(history, values):
    for value in values:
        history.update(value, 2)
    return history


def test_a_resumed_run_logs_the_same_values():
    whole = extended(HistoryBuffer(), VALUES)
    resumed = extended(short(extended(HistoryBuffer(), VALUES[:30])), VALUES[30:])
    assert len(resumed.data[0]) == 31
    for window in range(1, 11):
        assert whole.mean(window) == resumed.mean(window)
    assert whole.mean() == pytest.approx(resumed.mean(), rel=1e-12)
    assert whole.current() == resumed.current()
    # the next file is the same, bit for bit, whether or not the run stopped in between
    for one, other in zip(short(whole).data, short(resumed).data, strict=True):
        assert one.tolist() == other.tolist()


def test_short_histories_stay():
    history = HistoryBuffer([1.0, 2.0], [1, 1])
    assert short(history) is history
    assert short(extended(HistoryBuffer(), VALUES), None).data[0].tolist() == VALUES


@pytest.mark.parametrize(
    ('options', 'window'),
    [
        (dict(by_epoch=False), 10),
        (dict(by_epoch=True), 25),
        (dict(by_epoch=False, custom_cfg=[dict(data_src='loss', window_size=40)]), 40),
        (dict(by_epoch=False, custom_cfg=[dict(data_src='loss', window_size='global')]), None),
    ],
)
def test_window_of_a_log_processor(options, window):
    assert longest_window(LogProcessor(**options), epoch=25) == window
