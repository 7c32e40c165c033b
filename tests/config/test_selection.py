"""Runs that count in epochs, keep their best checkpoint and stop early; resumed ones likewise."""

import pytest
import torch
from mmengine.runner import ValLoop

from rein_seg.apis import train
from rein_seg.checkpoint import read_adapter, read_checkpoint
from rein_seg.config.request import Request
from rein_seg.config.resolve import resolve
from rein_seg.errors import UserError
from rein_seg.evaluation import DomainIoUMetric
from tests.run.tiny_run import tiny_config

# seven images in batches of two: four iterations an epoch
EXTRA = """
epochs = 3
max_iters = None
train_cfg = dict(max_iters=None, val_interval=None)
param_scheduler = [dict(type='PolyLR', eta_min=0.0, power=1.0, begin=0, end=None, by_epoch=False)]
benchmark = dict(selection=dict(metric='clear/mIoU', rule='greater'))
default_hooks = dict(
    checkpoint=dict(interval=None, max_keep_ckpts=1, save_best='benchmark'),
    early_stopping=dict(type='PatienceHook', monitor='benchmark', patience=10))
"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Leaves out what takes most of the time of such a short run."""
    monkeypatch.setattr('gc.collect', lambda *args: 0)
    monkeypatch.setattr('yapf.yapflib.yapf_api.FormatCode', lambda text, **_: (text, True))


def config(folder, **options):
    return tiny_config(folder, extra=EXTRA, **options)


def in_iterations(cfg):
    return resolve(cfg, Request(training=True)).cfg


def test_epochs_become_iterations_when_the_run_starts(tmp_path):
    cfg = in_iterations(config(tmp_path))
    assert (cfg.max_iters, cfg.train_cfg.max_iters, cfg.train_cfg.val_interval) == (12, 12, 4)
    assert (cfg.param_scheduler[0].end, cfg.default_hooks.checkpoint.interval) == (12, 4)
    cfg = in_iterations(config(tmp_path, epochs=5, train_dataloader__batch_size=7))
    assert (cfg.train_cfg.max_iters, cfg.train_cfg.val_interval) == (5, 1)


def test_iterations_override_epochs(tmp_path):
    cfg = in_iterations(config(tmp_path, max_iters=6))
    assert (cfg.train_cfg.max_iters, cfg.train_cfg.val_interval) == (6, 4)  # still by epoch
    assert (cfg.param_scheduler[0].end, cfg.default_hooks.checkpoint.interval) == (6, 4)
    with pytest.raises(UserError, match='epochs: the run has max_iters=6 iterations'):
        config(tmp_path, max_iters=6, epochs=2)


def test_the_benchmark_chooses_the_metric(tmp_path):
    cfg = config(tmp_path)
    checkpoint, stopping = cfg.default_hooks.checkpoint, cfg.default_hooks.early_stopping
    assert (checkpoint.save_best, checkpoint.rule) == ('clear/mIoU', 'greater')
    assert (stopping.monitor, stopping.rule) == ('clear/mIoU', 'greater')
    with pytest.raises(UserError, match='early_stopping.monitor=.*chooses by no metric'):
        config(tmp_path, benchmark__selection=None, default_hooks__checkpoint=None)
    cfg = config(tmp_path, epochs=None)
    with pytest.raises(UserError, match='epochs=None: give epochs=30, or max_iters'):
        in_iterations(cfg)


def scored(monkeypatch, scores):
    """Makes the source's mIoU follow a list, over the validations of a run."""
    left = list(scores)
    honest = DomainIoUMetric.compute_metrics

    def compute(self, results):
        return {**honest(self, results), 'clear/mIoU': left.pop(0)}

    monkeypatch.setattr(DomainIoUMetric, 'compute_metrics', compute)
    return left


def state(path):
    return read_checkpoint(path)['state_dict']


def test_the_best_is_kept_evaluated_and_written(tmp_path, monkeypatch):
    left = scored(monkeypatch, [10.0, 30.0, 20.0, 30.0])
    results = train(config(tmp_path))
    assert not left  # three epochs, and the best once more
    assert results['selected'] == {'metric': 'clear/mIoU', 'score': 30.0, 'iteration': 8}
    assert results['iterations'] == 12
    run = tmp_path / 'run'
    assert sorted(p.name for p in run.glob('*.pth')) == [
        'best_clear_mIoU_iter_8.pth',
        'iter_12.pth',
    ]
    best, last = state(run / 'best_clear_mIoU_iter_8.pth'), state(run / 'iter_12.pth')
    assert best.keys() == last.keys()
    assert any(not torch.equal(best[key], last[key]) for key in best)
    adapter = read_adapter(run / 'adapter.safetensors').tensors
    assert all(torch.equal(tensor, best[key]) for key, tensor in adapter.items())


def test_stops_after_epochs_without_gain(tmp_path, monkeypatch):
    left = scored(monkeypatch, [10.0, 9.0, 10.0, 10.0])
    results = train(config(tmp_path, epochs=9, default_hooks__early_stopping__patience=2))
    assert not left
    assert (results['iterations'], results['selected']['iteration']) == (12, 4)


def test_less_may_be_better(tmp_path, monkeypatch):
    left = scored(monkeypatch, [10.0, 9.0, 11.0, 9.0])
    options = dict(benchmark__selection__rule='less', default_hooks__early_stopping__patience=1)
    results = train(config(tmp_path, epochs=9, **options))
    assert not left
    assert (results['iterations'], results['selected']['iteration']) == (12, 8)


class Killed(Exception):
    """Stands for a signal."""


@pytest.mark.parametrize('at', [1, 3])
def test_a_run_killed_in_a_validation_stops_where_it_would_have(tmp_path, monkeypatch, at):
    """The checkpoint of that iteration is there, its validation is not."""
    scores = [10.0, 20.0, 15.0, 16.0, 17.0]
    options = dict(epochs=9, default_hooks__early_stopping__patience=3)
    with monkeypatch.context() as patch:
        scored(patch, scores)
        runs, honest = [], ValLoop.run

        def run(self):
            runs.append(self)
            if len(runs) > at:
                raise Killed
            return honest(self)

        patch.setattr(ValLoop, 'run', run)
        with pytest.raises(Killed):
            train(config(tmp_path, **options))
    # the killed validation is done again, and the best at the end
    left = scored(monkeypatch, [*scores[at:], 20.0])
    results = train(config(tmp_path, **options), resume=True)
    assert not left
    assert (results['iterations'], results['selected']['iteration']) == (20, 8)
