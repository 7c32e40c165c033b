"""Runs that average their weights: what they leave, and that they resume exactly."""

import pytest
import torch

from rein_seg import apis
from rein_seg.apis import train
from rein_seg.checkpoint import read_adapter, read_checkpoint
from tests.run.tiny_run import tiny_config

EXTRA = 'ema = dict(begin=2, momentum=0.25)\ncustom_hooks = [dict(type="IterationSeedHook")]\n'
EVERY = dict(default_hooks__checkpoint__interval=1, train_cfg__val_interval=3)


pytestmark = pytest.mark.usefixtures('quick')


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """A run of six iterations, all of them saved, validated after the third too."""
    folder = tmp_path_factory.mktemp('average')
    cfg = tiny_config(folder, extra=EXTRA, **EVERY)
    cfg.optim_wrapper.optimizer.lr = 0.01
    return folder, train(cfg)


def saved(folder, iteration):
    return read_checkpoint(folder / f'run/iter_{iteration}.pth')


def test_the_adapter_holds_the_average_of_the_saved_weights(finished):
    folder, _ = finished
    assert 'raw_state_dict' not in saved(folder, 1)
    average = saved(folder, 2)['raw_state_dict']
    for iteration in range(2, 7):
        checkpoint = saved(folder, iteration)
        for name, raw in checkpoint['raw_state_dict'].items():
            average[name] = average[name] + 0.25 * (raw - average[name])
            assert torch.allclose(checkpoint['state_dict'][name], average[name], atol=1e-7), name
    adapter = read_adapter(folder / 'run/adapter.safetensors').tensors
    last = saved(folder, 6)
    assert all(torch.equal(tensor, last['state_dict'][name]) for name, tensor in adapter.items())
    assert any(not torch.equal(raw, adapter[name]) for name, raw in last['raw_state_dict'].items())


def test_what_was_scored_is_what_the_files_hold(finished, tmp_path):
    folder, results = finished
    for weights in ('adapter.safetensors', 'iter_6.pth'):
        cfg = tiny_config(folder, extra=EXTRA)
        cfg.work_dir = str(tmp_path)
        assert apis.test(cfg, str(folder / 'run' / weights))['domains'] == results['domains']


def test_resuming_equals_an_uninterrupted_run(finished, tmp_path):
    folder, results = finished
    cfg = tiny_config(tmp_path, extra=EXTRA, **EVERY)
    cfg.optim_wrapper.optimizer.lr = 0.01
    cfg.train_cfg.max_iters = 4
    train(cfg)
    cfg = tiny_config(tmp_path, extra=EXTRA, **EVERY)
    cfg.optim_wrapper.optimizer.lr = 0.01
    again = train(cfg, resume=True)
    assert again['parameters_sha256'] == results['parameters_sha256']
    assert again['domains'] == results['domains']
    ours, theirs = saved(tmp_path, 6), saved(folder, 6)
    for part in ('state_dict', 'raw_state_dict'):
        assert all(torch.equal(ours[part][name], theirs[part][name]) for name in theirs[part])


def test_resuming_a_complete_run_evaluates_its_average(finished):
    folder, results = finished
    cfg = tiny_config(folder, extra=EXTRA, **EVERY)
    cfg.optim_wrapper.optimizer.lr = 0.01
    again = train(cfg, resume=True)
    assert again['domains'] == results['domains']
    assert again['parameters_sha256'] == results['parameters_sha256']


def test_the_best_average_is_what_is_kept(tmp_path):
    extra = EXTRA + "default_hooks = dict(checkpoint=dict(save_best='clear/mIoU'))\n"
    results = train(tiny_config(tmp_path, extra=extra, train_cfg__val_interval=2))
    iteration = results['selected']['iteration']
    assert results['selection'] == 'best of clear/mIoU, every 2 iterations'
    best = read_checkpoint(tmp_path / f'run/best_clear_mIoU_iter_{iteration}.pth')['state_dict']
    adapter = read_adapter(tmp_path / 'run/adapter.safetensors').tensors
    assert all(torch.equal(tensor, best[name]) for name, tensor in adapter.items())
    assert results['domains']['clear']['mIoU'] == pytest.approx(results['selected']['score'])
