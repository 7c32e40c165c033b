"""An exception while something is built becomes a line that names the part."""

import pytest
from mmengine.logging import MMLogger

from rein_seg.building import building
from rein_seg.errors import UserError


def fail(error):
    raise error


def test_the_line_names_the_part_the_reason_and_the_line_of_code():
    message = (
        r'model.neck: KeyError: .width. \(test_building.py, line \d+\): correct this part of '
        'the config'
    )
    with pytest.raises(UserError, match=message) as caught, building('model.neck'):
        fail(KeyError('width'))
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_message_of_many_lines_keeps_the_first_and_a_worker_the_last():
    with pytest.raises(UserError, match=r'x: ValueError: a \('), building('x'):
        fail(ValueError('\n  a\n  b'))
    with pytest.raises(UserError, match=r'x: KeyError: 3 \('), building('x'):
        fail(RuntimeError('Caught KeyError\nTraceback (most recent call last):\n  f\nKeyError: 3'))


def test_arguments_that_do_not_fit_are_named():
    with pytest.raises(UserError, match=r"model.neck: 'width' missing \("), building('model.neck'):
        (lambda *, width: width)()
    with pytest.raises(UserError, match=r"model.neck: takes no 'size' \("), building('model.neck'):
        (lambda: 3)(size=3)


@pytest.mark.parametrize(
    'error', [UserError('a'), OSError(28, 'full'), MemoryError(), RuntimeError('out of memory')]
)
def test_other_errors_pass(error):
    with pytest.raises(type(error)) as caught, building('x'):
        fail(error)
    assert caught.value is error


def test_an_exception_that_the_config_does_not_cause_passes():
    with pytest.raises(KeyError), building('x', when=lambda: False):
        fail(KeyError(3))


def test_the_traceback_is_in_the_log_file_and_not_on_the_terminal(tmp_path, capfd):
    current = MMLogger.get_current_instance()
    logger = MMLogger.get_instance('with_file', log_file=str(tmp_path / 'run.log'))
    try:
        MMLogger._instance_dict.move_to_end('with_file')
        with pytest.raises(UserError, match='the traceback is in .*run.log'), building('x'):
            fail(KeyError('width'))
    finally:
        MMLogger._instance_dict.pop('with_file')
        assert MMLogger.get_current_instance() is current
    for handler in logger.handlers:
        handler.close()
    assert "KeyError: 'width'" in (tmp_path / 'run.log').read_text()
    assert 'Traceback' not in ''.join(capfd.readouterr())
