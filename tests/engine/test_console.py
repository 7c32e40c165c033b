import contextlib
import logging
import sys
from types import SimpleNamespace

import pytest
from mmengine.logging import HistoryBuffer, MMLogger

from rein_seg import progress
from rein_seg.engine import console
from rein_seg.engine.console import ConsoleFormatter, hand_over, show_all, tidy, worth_showing
from rein_seg.engine.progress_hook import ProgressHook

STEP = (
    'Iter(train) [ 20/1200]  base_lr: 1.0000e-03 lr: 5.0000e-04  eta: 0:01:11  time: 4.2794  '
    'data_time: 0.0387  grad_norm: 4.6780  loss: 1.7353  decode.loss_ce: 1.7353'
)


def record(text, level=logging.INFO):
    return logging.makeLogRecord(
        dict(msg=text, levelno=level, levelname=logging.getLevelName(level))
    )


@pytest.fixture(autouse=True)
def quiet():
    show_all(False)
    yield
    show_all(False)


@pytest.mark.parametrize(
    'text',
    [
        'fast forms: winograd',
        'Checkpoints will be saved to /x.',
        'Saving checkpoint at 40 iterations',
        'optimizer group: 12 tensors',
        'Iter(val) [ 5/60]    eta: 0:02:31  time: 2.7540',
        'Iter(test) [60/60]    clear/mIoU: 23.5829',
        'Environment:\n' + 60 * 'a: b\n',
    ],
)
def test_lines_for_the_file_alone(text):
    assert not worth_showing(record(text))
    assert worth_showing(record(text, logging.WARNING))
    show_all(True)
    assert worth_showing(record(text))


def test_notes_on_old_names_are_hidden_though_they_warn():
    assert not worth_showing(record('"FileClient" will be deprecated', logging.WARNING))


@pytest.mark.parametrize(
    'text', [STEP, 'protocol a, changed: nothing', '\nIoU  clear\n', 'resumed epoch: 0, iter: 20']
)
def test_lines_for_a_person(text):
    assert worth_showing(record(text))


def test_a_bar_takes_the_place_of_the_steps(monkeypatch):
    monkeypatch.setattr(console, 'watched', lambda: True)
    assert not worth_showing(record(STEP))
    show_all(True)
    assert worth_showing(record(STEP))


def test_steps_are_short_and_warnings_say_so():
    line = ConsoleFormatter().format(record(STEP))
    assert line[8:] == ' iteration 20/1200  loss 1.7353  lr 5.0000e-04  eta 0:01:11'
    assert ConsoleFormatter().format(record('old', logging.WARNING))[8:] == ' warning: old'
    assert ConsoleFormatter().format(record('\na table')) == '\na table'
    show_all(True)
    assert STEP in ConsoleFormatter().format(record(STEP))


def test_the_file_gets_what_was_said_before_it(tmp_path):
    early = MMLogger('test_console_early')
    tidy(early)
    tidy(early)
    assert len(early.handlers) == 2
    hand_over(logging.NullHandler())  # of other tests
    early.info('data: 7 images')
    early.debug('imported')
    handler = logging.FileHandler(tmp_path / 'log.txt')
    hand_over(handler)
    hand_over(handler)
    handler.close()
    assert (tmp_path / 'log.txt').read_text() == 'data: 7 images\n'


def test_a_validation_takes_the_place_of_the_training(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(progress.time, 'monotonic', lambda: now[0])
    monkeypatch.setattr('rein_seg.engine.progress_hook.watched', lambda: True)
    loader = SimpleNamespace(dataset=range(5))
    hub = SimpleNamespace(log_scalars={'train/loss': HistoryBuffer([0.5], [1])})
    runner = SimpleNamespace(iter=10, max_iters=40, val_dataloader=loader, message_hub=hub)
    hook = ProgressHook()
    hook.before_train(runner)
    now[0] += 20
    hook.after_train_iter(runner, 0)
    hook.before_val_epoch(runner)
    for batch in (2, 2, 2):  # a sampler has filled up the last batch
        now[0] += 2
        hook.after_val_iter(runner, 0, outputs=range(batch))
    hook.after_val_epoch(runner)
    now[0] += 10
    hook.after_train_iter(runner, 0)
    hook.close()
    assert capsys.readouterr().err.splitlines() == [
        'train: 11/40 iterations, 0.05 iterations/s, 0:09:40 left, loss 0.500',
        'validate: 5 images in 0:00:06, 0.83 images/s',
        'train: 11/40 iterations, 0.1 iterations/s, 0:04:50 left, loss 0.500',
    ]
    assert not progress._active


def test_the_console_is_the_stdout_of_the_moment(capsys):
    logger = MMLogger('test_console_stdout')
    tidy(logger)
    with contextlib.redirect_stdout(sys.stderr):
        logger.info('to stderr')
    logger.info('to stdout')
    found = capsys.readouterr()
    assert found.err.endswith(' to stderr\n') and found.out.endswith(' to stdout\n')
