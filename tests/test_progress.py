import io
import os
import subprocess
import sys

import pytest

from rein_seg import progress as module
from rein_seg.cli.exits import run
from rein_seg.errors import UserError
from rein_seg.progress import Meter, make_room, progress, watched


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def ticking(monkeypatch, capsys):
    """A clock that the test moves; capsys is a file."""
    now = [1000.0]
    monkeypatch.setattr(module.time, 'monotonic', lambda: now[0])
    monkeypatch.delenv('RANK', raising=False)
    return now


def work(now, seconds, **options):
    for one in progress(range(len(seconds)), **options):
        now[0] += seconds[one]


def test_a_file_gets_a_line_every_ten_seconds_and_one_at_the_end(ticking, capsys):
    work(ticking, [4.0] * 8, what='check', unit='images')
    assert capsys.readouterr().err.splitlines() == [
        'check: 3/8 images, 0.25 images/s, 0:00:20 left',
        'check: 6/8 images, 0.25 images/s, 0:00:08 left',
        'check: 8 images in 0:00:32, 0.25 images/s',
    ]


def test_short_work_says_nothing_in_a_file(ticking, capsys):
    work(ticking, [0.3] * 6)
    assert capsys.readouterr().err == ''


def test_without_a_total_no_end_is_foretold(ticking, capsys):
    for _ in progress((i for i in range(3)), what='draw', unit='scenes'):
        ticking[0] += 6.0
    assert capsys.readouterr().err.splitlines() == [
        'draw: 2 scenes, 0.17 scenes/s',
        'draw: 3 scenes in 0:00:18, 0.17 scenes/s',
    ]


def test_the_work_is_named_once(ticking, capsys):
    work(ticking, [3.0] * 2)
    assert capsys.readouterr().err == '2 images in 0:00:06, 0.33 images/s\n'


def test_nested_use_and_other_ranks_are_silent(ticking, monkeypatch, capsys):
    for _ in progress([1], what='outer', unit='folders'):
        work(ticking, [20.0, 20.0], what='inner')
    assert [line[:5] for line in capsys.readouterr().err.splitlines()] == ['outer', 'outer']
    monkeypatch.setenv('RANK', '1')
    work(ticking, [20.0, 20.0])
    assert capsys.readouterr().err == ''


def test_an_error_passes_and_later_work_is_shown(ticking, capsys):
    with pytest.raises(KeyError, match='a'):
        for _ in progress(range(3)):
            ticking[0] += 11.0
            raise KeyError('a')
    work(ticking, [3.0], what='next')
    assert capsys.readouterr().err == 'next: 1 images in 0:00:03, 0.33 images/s\n'


def test_an_error_of_the_iterable_passes(ticking):
    def broken():
        yield 1
        raise OSError('gone')

    with pytest.raises(OSError, match='gone'):
        list(progress(broken()))
    assert not module._active


def test_a_reader_that_left_does_not_end_the_work(ticking, monkeypatch):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, 'stderr', Closed())
    work(ticking, [11.0] * 3)
    assert not module._active


def test_a_terminal_gets_a_bar(ticking, monkeypatch):
    monkeypatch.setattr(sys, 'stderr', Terminal())
    monkeypatch.setenv('TERM', 'xterm')
    monkeypatch.setenv('COLUMNS', '120')
    stderr = sys.stderr
    work(ticking, [1.0] * 4, what='predict')
    text = stderr.getvalue()
    assert 'predict: 2/4 images, 1.0 images/s, 0:00:02 left' in text
    assert text.rstrip().endswith('predict: 4 images in 0:00:04, 1.0 images/s')


def test_no_color_is_respected(ticking, monkeypatch):
    monkeypatch.setattr(sys, 'stderr', Terminal())
    monkeypatch.setenv('TERM', 'xterm')
    monkeypatch.setenv('NO_COLOR', '1')
    stderr = sys.stderr
    work(ticking, [1.0] * 4)
    assert '\x1b[3' not in stderr.getvalue()


def test_a_dumb_terminal_gets_lines(ticking, monkeypatch):
    monkeypatch.setattr(sys, 'stderr', Terminal())
    monkeypatch.setenv('TERM', 'dumb')
    assert not watched()
    work(ticking, [3.0])
    assert sys.stderr.getvalue() == '1 images in 0:00:03, 0.33 images/s\n'


def test_a_note_and_earlier_work(ticking, capsys):
    with Meter(100, what='train', unit='iterations', done=50, silent_end=True) as meter:
        for _ in range(2):
            ticking[0] += 10.0
            meter.advance(10, note='loss 0.5')
        make_room()  # nothing to make room for
    assert capsys.readouterr().err.splitlines() == [
        'train: 60/100 iterations, 1.0 iterations/s, 0:00:40 left, loss 0.5',
        'train: 70/100 iterations, 1.0 iterations/s, 0:00:30 left, loss 0.5',
    ]


def test_a_process_without_stderr_works():
    use = 'from rein_seg.progress import progress; print(list(progress([1])))'
    code = f'import sys; sys.stderr = None; {use}'
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.stdout == '[1]\n'


def test_an_error_takes_the_line_of_the_bar(ticking, monkeypatch):
    def work_and_fail():
        for one in progress(range(4), what='predict'):
            ticking[0] += 1.0
            if one == 2:
                raise UserError('a.png is no picture')

    monkeypatch.setattr(sys, 'stderr', Terminal())
    monkeypatch.setenv('TERM', 'xterm')
    stderr = sys.stderr
    assert run(work_and_fail) == 2
    before, _, after = stderr.getvalue().rpartition('error: a.png is no picture\n')
    assert before.endswith('\x1b[2K') and '\x1b[?25h' in before  # erased, the cursor is back
    assert 'predict' not in after
