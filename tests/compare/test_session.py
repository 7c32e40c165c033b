"""Whole comparisons with a training command that takes milliseconds."""

import functools
import json
import os
import shutil
import signal
import threading
import time

import pytest

import rein_seg.compare as package
from rein_seg.cli import main
from rein_seg.compare import compare
from rein_seg.compare.processes import exit_reason, locked, slot_environment, tail
from rein_seg.compare.session import Session, duration, seconds_left
from rein_seg.errors import UserError


def calls(folder):
    path = folder / 'calls.txt'
    return path.read_text().splitlines() if path.exists() else []


def test_all_runs_once(fake, tmp_path):
    call, said = fake
    found = call(seeds=[0, 2])
    lora, frozen = found['variants']
    assert lora['scores']['mIoU']['source'] == {'mean': 21.0, 'std': 2**0.5, 'n': 2}
    assert frozen['scores']['mIoU']['source']['mean'] == 121.0
    work = tmp_path / 'work'
    assert json.loads((work / 'comparison.json').read_text()) == found
    assert calls(work / 'LoRA/seed_2') == ['--cfg-options randomness.seed=2 --inference-cost']
    assert (work / 'LoRA/seed_2/stdout.txt').read_text() == 'log line\n'
    order = [line.split(':')[0] for line in said if ': starts' in line]
    assert order == [
        '[1/4] LoRA, seed 0', '[2/4] Frozen, seed 0', '[3/4] LoRA, seed 2', '[4/4] Frozen, seed 2',
    ]  # fmt: skip
    assert 'mIoU 11.00 over targets, 20.00 on the source' in '\n'.join(said)
    # again, with one seed more: only that one runs
    said.clear()
    assert call(seeds=[0, 2, 4])['variants'][0]['finished'] == 3
    assert '4 of 6 runs are finished, 0 go on' in said[0]
    assert len(calls(work / 'LoRA/seed_2')) == len(calls(work / 'LoRA/seed_4')) == 1


def test_a_failed_run_does_not_stop_the_others(fake, tmp_path):
    call, said = fake
    found = call(seeds=[7, 0, 9])
    states = {(run['variant'], run['seed']): run['state'] for run in found['runs']}
    assert states['LoRA', 7] == states['LoRA', 9] == 'failed'
    assert states['LoRA', 0] == states['Frozen', 0] == 'finished'
    text = '\n'.join(said)
    assert 'failed, exit code 3: ValueError: no good\nTraceback of the run' in text
    assert 'LoRA, seed 9 failed: killed by SIGKILL (out of memory?)' in text
    assert '1/3, 2 failed' in (tmp_path / 'work/comparison.md').read_text()
    call(seeds=[7, 0, 9])  # tried again
    assert len(calls(tmp_path / 'work/LoRA/seed_7')) == 2


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_stopping_leaves_runs_that_go_on(fake, tmp_path, number, request):
    call, said = fake
    work = tmp_path / 'work'
    # where the tests run in the background, Python starts with SIGINT ignored
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))

    def stop_when_it_runs():
        deadline = time.time() + 30
        while not (work / 'LoRA/seed_8/iter_2.pth').exists() and time.time() < deadline:
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    threading.Thread(target=stop_when_it_runs).start()
    start = time.time()
    with pytest.raises(KeyboardInterrupt):
        call(seeds=[0, 8])
    assert time.time() - start < 30
    states = [run['state'] for run in json.loads((work / 'comparison.json').read_text())['runs']]
    assert states == ['finished', 'interrupted', 'finished', 'waiting']
    assert 'stopped; the same command goes on' in said[-1]
    with locked(work):
        pass  # no child is left to hold it
    found = call(seeds=[0, 8])
    assert [run['state'] for run in found['runs']] == ['finished'] * 4
    said = '--cfg-options randomness.seed=8 --inference-cost'
    assert calls(work / 'LoRA/seed_8') == [said, f'{said} --resume']
    assert calls(work / 'Frozen/seed_8') == [said]


def test_a_folder_deleted_while_its_run_works_ends_in_a_line(fake, tmp_path, monkeypatch):
    call, said = fake
    ended = Session._ended

    def delete(self, child, stopped):
        if child.job.variant == 'LoRA':
            shutil.rmtree(child.folder)
        ended(self, child, stopped)

    monkeypatch.setattr(Session, '_ended', delete)
    found = call(seeds=[0])
    assert [run['state'] for run in found['runs']] == ['failed', 'finished']
    folder = tmp_path / 'work/LoRA/seed_0'
    assert f'[1/2] LoRA, seed 0: {folder} was deleted while the run worked; the same' in '\n'.join(
        said
    )


def test_a_work_folder_deleted_before_a_stop_stays_deleted(fake, tmp_path, monkeypatch):
    call, said = fake
    ended = Session._ended

    def delete(self, child, stopped):
        shutil.rmtree(tmp_path / 'work')
        ended(self, child, True)  # as after Ctrl-C
        raise KeyboardInterrupt

    monkeypatch.setattr(Session, '_ended', delete)
    with pytest.raises(KeyboardInterrupt):
        call(seeds=[0])
    assert 'was deleted while the run worked' in '\n'.join(said)
    assert not (tmp_path / 'work/LoRA').exists()
    assert not (tmp_path / 'work/comparison.json').exists()


def test_several_at_a_time(fake):
    call, said = fake
    found = call(seeds=[0, 1], jobs=3)
    assert [run['state'] for run in found['runs']] == ['finished'] * 4
    assert any('--jobs' in note for note in found['notes'])


def test_an_unknown_metric_is_refused_before_anything_runs(fake, tmp_path):
    call, said = fake
    with pytest.raises(UserError, match='--metric foo: .* mIoU, aAcc'):
        call(seeds=[0], metrics=['foo'])
    assert not said
    assert not (tmp_path / 'work').exists()
    assert call(seeds=[0], metrics=['aAcc', 'mIoU'])['shown'] == ['aAcc', 'mIoU']


def test_a_changed_config_is_not_reused(fake):
    call, said = fake
    call(seeds=[0])
    with pytest.raises(UserError, match=r'LoRA/seed_0 holds a run of another config: max_iters is'):
        call(seeds=[0], cfg_options={'max_iters': 7})


def test_bad_numbers_and_a_folder_in_use(fake, tmp_path):
    call, said = fake
    for seeds in ([], [1, 1], [-1]):
        with pytest.raises(UserError, match='--seeds'):
            call(seeds=seeds)
    with pytest.raises(UserError, match='--jobs 0'):
        call(jobs=0)
    with locked(tmp_path / 'work'), pytest.raises(UserError, match=f'process {os.getpid()}'):
        call(seeds=[0])


def test_the_command(fake, tmp_path, monkeypatch, capsys):
    call, said = fake
    monkeypatch.setattr(
        package, 'compare', functools.partial(compare, train=call.keywords['train'])
    )

    def run(*args):
        common = ['--work-dir', str(tmp_path / 'work'), '--peft', 'LoRA']
        return main(['compare', str(tmp_path / 'tiny.py'), *common, *args])

    assert run('--seeds', '0', '1', '--metric', 'aAcc', '--cfg-options', 'max_iters=5') == 0
    assert 'aAcc in % (higher is better)' in capsys.readouterr().out
    assert run('--seeds', '7') == 1
    assert 'ValueError: no good' in capsys.readouterr().out
    assert run('--seeds', '-1') == 2


def test_time_that_is_left():
    finished = [('LoRA', 100.0), ('LoRA', 200.0), ('Rein', 600.0), ('Rein', None)]
    assert seconds_left(finished, ['LoRA', 'Rein', 'Frozen'], jobs=1) == 150 + 600 + 300
    assert seconds_left(finished, ['Rein', 'Rein', 'Rein'], jobs=2) == 900
    assert seconds_left(finished, ['Rein'], jobs=2) == 600
    assert seconds_left([('LoRA', None)], ['LoRA'], jobs=1) is None
    assert [duration(s) for s in (42.4, 240, 5400, 3900)] == [
        '42 s',
        '4 min',
        '1 h 30 min',
        '65 min',
    ]


def test_environment_of_a_slot():
    base = {'HOME': '/'}
    assert slot_environment(0, 1, gpus=4, cores=8, base=base) == base
    found = [slot_environment(i, 3, gpus=2, cores=8, base=base) for i in range(3)]
    assert [env['CUDA_VISIBLE_DEVICES'] for env in found] == ['0', '1', '0']
    assert found[0]['OMP_NUM_THREADS'] == '2'
    given = {'CUDA_VISIBLE_DEVICES': '5,7', 'OMP_NUM_THREADS': '1'}
    found = slot_environment(1, 2, gpus=2, cores=8, base=given)
    assert found == {'CUDA_VISIBLE_DEVICES': '7', 'OMP_NUM_THREADS': '1'}


def test_why_a_process_failed(tmp_path):
    assert exit_reason(-15, '') == 'killed by SIGTERM'
    assert exit_reason(1, '') == 'exit code 1: nothing on stderr'
    (tmp_path / 'err').write_text('a\n\nb\nc\n')
    assert tail(tmp_path / 'err', 2) == 'b\nc'
    assert tail(tmp_path / 'none') == ''
