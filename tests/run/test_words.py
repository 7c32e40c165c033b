"""A run of a model that reads names: its files, going on, averages, other classes at the end."""

import shutil

import numpy as np
import pytest
import torch

import rein_seg
from rein_seg.apis import load_config, train
from rein_seg.apis import test as run_test
from rein_seg.checkpoint import read_adapter, read_checkpoint
from rein_seg.errors import UserError
from rein_seg.export.count import count
from tests.inference.tiny_adapter import pixels
from tests.run.tiny_run import tiny_config
from tests.run.words import extra, write_towers

pytestmark = pytest.mark.usefixtures('quick')
UNSEEN = "benchmark = dict(crop_size=(32, 64), unseen=['bus', 'bicycle'])\n"
EMA = 'ema = dict(begin=2, momentum=0.25)\n'


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp('words')
    towers = write_towers(folder / 'towers.safetensors')
    cfg = tiny_config(folder, extra=extra(towers) + UNSEEN + EMA)
    return folder, cfg, train(cfg)


def test_files_hold_the_prompt_and_neither_tower(finished):
    folder, _, results = finished
    adapter = read_adapter(folder / 'run/adapter.safetensors')
    checkpoint = read_checkpoint(folder / 'run/iter_4.pth')
    for tensors in (adapter.tensors, checkpoint['state_dict'], checkpoint['raw_state_dict']):
        assert [name for name in tensors if name.startswith('text.')] == ['text.ctx']
        assert not [name for name in tensors if 'resblocks' in name or 'token_embedding' in name]
    raw = checkpoint['raw_state_dict']['text.ctx']
    assert not torch.equal(raw, checkpoint['state_dict']['text.ctx'])  # averaged, too
    text = adapter.metadata['text']
    assert text['type'] == 'rein_seg.CoOp' and text['source'].startswith('sha256:')
    assert checkpoint['meta']['identity']['text'] == text
    assert results['parameters']['frozen'] > 0


def test_the_text_tower_counts_as_frozen_and_the_prompt_with_neck_and_head(finished):
    folder, cfg, results = finished
    plain = count(load_config(cfg.filename, cfg_options={'model.text.type': 'CoOp'}))
    fixed = count(
        load_config(
            cfg.filename, cfg_options={'model.text': dict(_delete_=True, type='ClassTable')}
        )
    )
    assert plain == results['parameters']
    assert plain['neck_and_head'] - fixed['neck_and_head'] == 2 * 64
    assert plain['method'] == fixed['method']
    assert plain['frozen'] - fixed['frozen'] > 2 * 64 * 64  # no tower is kept for a table


def test_a_run_goes_on_exactly(finished, tmp_path):
    folder, cfg, _ = finished
    (tmp_path / 'run').mkdir()
    shutil.copy(folder / 'run/iter_4.pth', tmp_path / 'run')
    options = {'data_root': str(folder / 'scenes'), 'resume': True}
    text = extra(folder / 'towers.safetensors') + UNSEEN + EMA
    train(tiny_config(tmp_path, extra=text, **options))
    first, second = (
        read_adapter(place / 'run/adapter.safetensors').tensors for place in (folder, tmp_path)
    )
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_test_gives_the_scores_of_the_training(finished, tmp_path):
    folder, cfg, results = finished
    again = tiny_config(
        folder, extra=extra(folder / 'towers.safetensors') + UNSEEN + EMA, work_dir=str(tmp_path)
    )
    found = run_test(again, str(folder / 'run/adapter.safetensors'))
    assert found['domains']['night']['mIoU'] == results['domains']['night']['mIoU']


def test_an_adapter_is_enough_with_the_towers_beside_it(finished, tmp_path, monkeypatch):
    folder, _, _ = finished
    for name in ('run/adapter.safetensors', 'towers.safetensors'):
        shutil.copy(folder / name, tmp_path)
    towers = folder / 'towers.safetensors'
    towers.rename(folder / 'away.safetensors')
    try:
        monkeypatch.chdir(tmp_path)
        predictor = rein_seg.load('adapter.safetensors', device='cpu')
    finally:
        (folder / 'away.safetensors').rename(towers)
    head = predictor.model.decode_head
    assert [predictor.classes[i] for i in head.unseen] == ['bus', 'bicycle']
    other = predictor.with_classes(['road', 'pond', 'bus'])
    assert other.model.decode_head.unseen == (1, 2)
    assert set(np.unique(other.predict(pixels()).map)) <= {0, 1, 2}
    with pytest.raises(UserError, match=r"'zebra'.*"):
        predictor.with_classes(['road', 'zebra'])


def test_a_prompt_in_another_place_is_named(finished):
    folder, cfg, _ = finished
    other = load_config(cfg.filename, cfg_options={'model.text.position': 'front'})
    with pytest.raises(UserError, match="text.position='end', the config gives 'front'"):
        rein_seg.load(folder / 'run', device='cpu', config=other)


def test_other_towers_are_named(finished, tmp_path):
    folder, _, _ = finished
    other = write_towers(tmp_path / 'other.safetensors', seed=1)
    with pytest.raises(UserError, match='sha256:.*gives.*sha256:'):
        rein_seg.load(folder / 'run', device='cpu', encoder_weights=other)
