"""A value that is not finite stops a run before it reaches a parameter, a file or a score."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmseg.registry import HOOKS
from torch import nn

from rein_seg.apis import train
from rein_seg.checkpoint import read_checkpoint
from rein_seg.engine.finite import FiniteHook
from rein_seg.errors import NotFinite, UserError
from rein_seg.models.postprocess import best_class
from rein_seg.run.replay import replay
from tests.run.tiny_run import tiny_config


class Losses(nn.Module):
    """A loss that is finite where its gradient is not, times a scale, and another loss."""

    def __init__(self, scale):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.scale = scale

    def forward(self, other):
        losses = {'loss_fit': self.weight.sum() * other, 'acc': torch.tensor(math.nan)}
        if self.scale:
            losses['loss_root'] = (self.weight - 1).abs().sqrt().sum() * self.scale
        return losses


@pytest.fixture
def run(monkeypatch):
    """Makes an update of a model whose first pass has this loss."""
    monkeypatch.setattr('rein_seg.engine.finite.save_batch', lambda runner, step: step.batch)

    def update(other, *, scale=0, clip=None, passes=1):
        model = Losses(scale)
        wrapper = OptimWrapper(
            torch.optim.SGD(model.parameters(), lr=1.0), accumulative_counts=passes, clip_grad=clip
        )
        hub = wrapper.message_hub
        hub.log_scalars.clear()
        runner = SimpleNamespace(
            bare_model=model, optim_wrapper=wrapper, message_hub=hub, iter=6, work_dir='run'
        )
        hook = FiniteHook()
        hook.before_train(runner)
        try:
            for number in range(passes):
                hook.before_train_iter(runner, 0, f'batch_{number}.pth')
                losses = model(1.0 if number else other)
                wrapper.update_params(sum(v for k, v in losses.items() if k.startswith('loss')))
                runner.iter += 1
            assert not hook.window
            history = hub.log_scalars.get('train/grad_norm')
            update.norms = [] if history is None else history.data[0].tolist()
        except NotFinite:
            assert model.weight.tolist() == [1.0, 1.0]
            raise
        return model.weight.tolist()

    return update


def test_finite_updates_pass(run):
    assert run(0.5) == [0.5, 0.5]
    assert run(0.5, passes=2) == [0.25, 0.25]
    assert run(3.0, clip=dict(max_norm=math.sqrt(2))) == pytest.approx([0.0, 0.0], abs=1e-5)


def test_the_norm_of_the_gradients_is_logged_with_clipping_and_without(run):
    run(0.5)
    assert run.norms == pytest.approx([0.5 * math.sqrt(2)])
    run(0.5, passes=2)  # the mean of both passes, once an update
    assert run.norms == pytest.approx([0.75 * math.sqrt(2)])
    run(3.0, clip=dict(max_norm=1.0))
    assert run.norms == pytest.approx([3 * math.sqrt(2)])  # before clipping
    run(-1e30)  # finite, though its square is not
    assert run.norms == []


@pytest.mark.parametrize('value', [math.inf, -math.inf, math.nan])
def test_a_loss_is_named(run, value):
    told = f'iteration 7: loss_fit is {value}; the parameters were not updated; see its batch with'
    with pytest.raises(NotFinite, match=told):
        run(value)


def test_a_gradient_is_named(run):
    with pytest.raises(NotFinite, match='iteration 7: the gradient of weight is not finite'):
        run(1.0, scale=1)


def test_the_first_pass_of_an_update_is_named(run):
    with pytest.raises(NotFinite, match='iteration 7: loss_fit is nan; .*--replay batch_0.pth'):
        run(math.nan, passes=3)


def test_an_infinite_norm_would_clip_all_gradients_to_zero(run):
    with pytest.raises(NotFinite, match='the norm of the gradients'):
        run(3e30, clip=dict(max_norm=1.0))


@HOOKS.register_module()
class SpoilHook(Hook):
    """Makes a weight of the method huge after the first iteration, as too high a rate can."""

    priority = 'LOWEST'

    def after_train_iter(self, runner, *args, **kwargs):
        next(runner.bare_model.backbone.peft.parameters()).data.fill_(1e38)


def test_a_run_stops_with_its_last_good_checkpoint_and_the_batch(tmp_path):
    cfg = tiny_config(tmp_path, default_hooks__checkpoint__interval=1)
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='SpoilHook')]
    with pytest.raises(NotFinite, match='iteration 2: decode.loss_ce is nan') as caught:
        train(cfg)
    path = Path(cfg.work_dir) / 'not_finite_iter_2.pth'
    assert f'--replay {path}' in str(caught.value)
    assert not (path.parent / 'iter_2.pth').exists()
    assert not (path.parent / 'results.json').exists()
    before = read_checkpoint(path.parent / 'iter_1.pth')['state_dict']
    assert read_checkpoint(path)['replay']['state_dict'].keys() == before.keys()
    with pytest.raises(NotFinite, match='the output of backbone.* is not finite; .*loss_ce is nan'):
        replay(cfg, str(path))
    with pytest.raises(UserError, match='iter_1.pth holds no batch: expected not_finite_iter_N'):
        replay(cfg, str(path.parent / 'iter_1.pth'))


def test_a_batch_of_finite_losses_replays(tmp_path, monkeypatch):
    cfg = tiny_config(tmp_path, max_iters=2)
    monkeypatch.setattr('rein_seg.engine.finite._on_all', lambda finite: False)  # all stop
    with pytest.raises(NotFinite):
        train(cfg)
    monkeypatch.undo()
    losses = replay(cfg, str(tmp_path / 'run/not_finite_iter_1.pth'))
    train(tiny_config(tmp_path, max_iters=1, default_hooks__logger__interval=1))
    line = next((tmp_path / 'run').glob('*/vis_data/scalars.json')).read_text().splitlines()[0]
    assert losses['decode.loss_ce'] == pytest.approx(json.loads(line)['loss'], rel=1e-4)


def test_predictions_that_are_not_finite_are_not_scored():
    logits = torch.zeros(3, 4, 4)
    logits[1] = -math.inf  # a class that a head excludes
    assert best_class(logits, lambda x: x).tolist() == torch.zeros(1, 4, 4).tolist()
    logits[2, 0, 0] = math.nan
    for resize in (lambda x: x, lambda x: x.repeat(1, 2, 2)):
        with pytest.raises(NotFinite, match='of .* pixels are not finite'):
            best_class(logits, resize)
