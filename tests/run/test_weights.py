"""What weights say of their training goes with them: into a resumed run, or one begun there."""

import json
from pathlib import Path

import pytest
import torch

from rein_seg.apis import train
from rein_seg.checkpoint import read_checkpoint
from rein_seg.errors import UserError
from rein_seg.run.weights import check_weights, read_record, resumed, started_from
from tests.run.tiny_run import tiny_config


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A run of four iterations at another rate, whose last checkpoint is gone."""
    folder = tmp_path_factory.mktemp('weights')
    train(tiny_config(folder, max_iters=4, ema=dict(begin=1, momentum=0.1)))
    (folder / 'run/iter_4.pth').unlink()
    return folder


def test_what_was_changed_before_stays_named(folder):
    path = str(folder / 'run/iter_2.pth')
    before, iteration = read_record(path)
    assert iteration == 2
    now = {**before, 'changed': ['batch 2 instead of 4']}
    kept = resumed(now, path)['changed']
    assert kept[0] == 'batch 2 instead of 4'
    assert kept[1:] == [f'until iteration 2: {text}' for text in before['changed']]
    assert resumed(before, path) == before
    for key in ('benchmark', 'protocol'):
        with pytest.raises(
            UserError, match=f"of {key} .* this run of 'other': resume it as it was"
        ):
            resumed({**before, key: 'other'}, path)


def test_weights_of_other_programs_say_nothing(tmp_path):
    path = str(tmp_path / 'other.pth')
    torch.save({'state_dict': {'a': torch.zeros(1)}, 'meta': {'iter': 7}}, path)
    record = dict(benchmark='a', protocol='b', changed=[], selection='last')
    assert resumed(record, path)['changed'] == ['until iteration 7: training not recorded']
    assert started_from(path) == 'starts from other.pth, training not recorded'


def test_a_start_from_other_weights_is_named(folder, tmp_path):
    path = str(folder / 'run/iter_2.pth')
    text = started_from(path)
    assert text.startswith('starts from iter_2.pth (miniscapes, miniscapes-256x128, changed: ')
    assert text.endswith('checkpoint of iteration 2 of 4, selection iteration 2 of 4)')
    cfg = tiny_config(tmp_path, max_iters=2)
    cfg.load_from = path
    results = train(cfg)
    assert text in results['changed']
    assert text in check_weights(str(Path(cfg.work_dir) / 'adapter.safetensors'))['changed']
    assert text in json.loads((Path(cfg.work_dir) / 'results.json').read_text())['changed']


def test_a_run_that_averages_is_not_resumed_without_its_average(folder):
    assert 'raw_state_dict' in read_checkpoint(folder / 'run/iter_2.pth')
    with pytest.raises(UserError, match='ema.begin is 1 there, absent now'):
        train(tiny_config(folder, max_iters=4), resume=True)


def test_a_metric_whose_source_is_a_target_is_refused(tmp_path):
    with pytest.raises(UserError, match="'night' as source and among its targets"):
        train(tiny_config(tmp_path, val_evaluator__source='night'))
