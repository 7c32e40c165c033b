"""Folders of runs: new, interrupted, finished, or not what is asked for."""

import json

import pytest

from rein_seg.compare.state import (
    begin_session,
    code_fingerprint,
    deviations,
    end_session,
    read_run,
    run_request,
    run_state,
    wall_seconds,
)
from rein_seg.errors import UserError
from tests.compare.made import CODE

CONFIG = {'model': {'peft': {'type': 'LoRA', 'rank': 16}, 'sizes': (1, 2)}, 'max_iters': 6}


def begun(folder, config=CONFIG, code=CODE, *, resumed=False):
    begin_session(folder, run_request(config), code, resumed=resumed, jobs=1)


def test_states(tmp_path):
    request = run_request(CONFIG)
    assert run_state(tmp_path / 'none', request, CODE) == 'new'
    begun(tmp_path)
    assert run_state(tmp_path, request, CODE) == 'new'  # nothing to lose
    (tmp_path / 'iter_2.pth').touch()
    assert run_state(tmp_path, request, CODE) == 'interrupted'
    (tmp_path / 'results.json').write_text('{}')
    assert run_state(tmp_path, request, CODE) == 'finished'  # nobody was there to see it end
    end_session(tmp_path, 3.0, 0)
    assert run_state(tmp_path, request, CODE) == 'finished'
    end_session(tmp_path, 3.0, 1)
    assert run_state(tmp_path, request, CODE) == 'interrupted'  # failed after writing its results


def test_sessions_add_up(tmp_path):
    begun(tmp_path)
    assert wall_seconds(read_run(tmp_path)['sessions']) is None
    end_session(tmp_path, 10.04, -9)
    begun(tmp_path, resumed=True)
    end_session(tmp_path, 5.0, 0)
    sessions = read_run(tmp_path)['sessions']
    assert [session['exit'] for session in sessions] == [-9, 0]
    assert wall_seconds(sessions) == 15.0
    begun(tmp_path)
    assert len(read_run(tmp_path)['sessions']) == 1
    assert wall_seconds([]) is None


def test_another_config_is_not_taken(tmp_path):
    begun(tmp_path)
    (tmp_path / 'iter_2.pth').touch()
    other = {'model': {'peft': {'type': 'LoRA', 'rank': 8}, 'sizes': [1, 3, 2]}, 'max_iters': 9}
    with pytest.raises(UserError) as error:
        run_state(tmp_path, run_request(other), CODE)
    message = str(error.value)
    assert 'another config: model.peft.rank is 16 there, 8 asked for; model.sizes.1 is 2' in message
    assert 'model.sizes.2 is absent there, 2 asked for (and 1 more)' in message
    assert 'delete that folder to run it anew, or name another --work-dir' in message
    with pytest.raises(UserError, match='amp is False there, True asked for'):
        run_state(tmp_path, run_request(CONFIG, amp=True), CODE)


def test_other_code_is_not_taken_unasked(tmp_path):
    begun(tmp_path)
    (tmp_path / 'iter_2.pth').touch()
    begun(tmp_path, code={**CODE, 'torch': '2.6.0'}, resumed=True)
    with pytest.raises(UserError, match=r"torch is '2.6.0' there, '2.15.0' now.*--other-code"):
        run_state(tmp_path, run_request(CONFIG), CODE)
    assert run_state(tmp_path, run_request(CONFIG), None) == 'interrupted'


def test_a_run_of_unknown_origin_and_a_damaged_file(tmp_path):
    (tmp_path / 'results.json').write_text('{}')
    with pytest.raises(UserError, match='no comparison started'):
        run_state(tmp_path, run_request(CONFIG), CODE)
    (tmp_path / 'run.json').write_text('{"config": ')
    with pytest.raises(UserError, match=r'run.json cannot be read .*delete the folder'):
        run_state(tmp_path, run_request(CONFIG), CODE)


def test_differences():
    assert list(deviations({'a': {}}, {'a': {}})) == []
    assert list(deviations({'a': 1}, {'a': 1, 'b': []})) == ['b is absent there, [] asked for']
    (line,) = deviations({'a': 'x' * 99, 'b': 1}, {'b': 1})
    assert line == f"a is '{'x' * 56}... there, absent asked for"


def test_fingerprint_is_of_sources_and_packages():
    code = code_fingerprint()
    assert code == code_fingerprint()
    assert {'rein_seg', 'torch', 'onedl-mmengine'} <= set(code)
    assert json.dumps(code)
