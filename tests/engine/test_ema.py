"""The average of what trains, and the annealing of the weight decay, through our constructor."""

import copy
import math
from types import SimpleNamespace

import pytest
import torch
from mmengine.registry import PARAM_SCHEDULERS
from torch import nn

from rein_seg.engine import TrainableEMAHook
from rein_seg.errors import UserError
from tests.engine.optimizers import build, model


class Small(nn.Module):
    """One frozen, one trained layer, and a buffer."""

    def __init__(self):
        super().__init__()
        self.frozen = nn.Linear(3, 3).requires_grad_(False)
        self.trained = nn.Linear(3, 3)
        self.norm = nn.BatchNorm1d(3)


def runner(module, **state):
    wrapper = SimpleNamespace(should_update=lambda: True, _accumulative_counts=1)
    defaults = dict(iter=0, max_iters=10, _resume=False, optim_wrapper=wrapper)
    return SimpleNamespace(bare_model=module, **{**defaults, **state})


def train(hook, run, values):
    """Lets the trained parameters take the values, one an iteration."""
    for value in values:
        for param in run.bare_model.parameters():
            if param.requires_grad:
                param.data.fill_(value)
        hook.after_train_iter(run, run.iter)
        run.iter += 1


def test_average_of_the_trained_parameters_alone():
    module, hook = Small(), TrainableEMAHook(momentum=0.25, begin=2)
    run = runner(module)
    hook.before_train(run)
    train(hook, run, [1.0])
    assert not hook.averages  # not yet
    train(hook, run, [2.0, 6.0, 10.0])
    # begins with 2, then 2 + (6 - 2) / 4 = 3, then 3 + (10 - 3) / 4
    assert set(hook.averages) == {'trained.weight', 'trained.bias', 'norm.weight', 'norm.bias'}
    assert all(torch.all(average == 4.75) for average in hook.averages.values())


def test_validation_sees_the_average_and_leaves_no_trace():
    module, hook = Small(), TrainableEMAHook(momentum=0.5)
    run = runner(module)
    train(hook, run, [1.0, 3.0])
    before = copy.deepcopy(module.state_dict())
    hook.before_val_epoch(run)
    assert torch.all(module.trained.weight == 2.0)
    assert torch.equal(module.frozen.weight, before['frozen.weight'])
    hook.after_val_epoch(run)
    after = module.state_dict()
    assert all(torch.equal(after[key], before[key]) for key in before)
    hook.after_train(run)
    assert torch.all(module.trained.weight == 2.0)
    hook.before_val_epoch(run)  # what is evaluated now is what the model holds
    assert torch.all(module.trained.weight == 2.0)


def saved(hook, run):
    state = {name: tensor.clone() for name, tensor in run.bare_model.state_dict().items()}
    checkpoint = dict(state_dict=state)
    hook.before_save_checkpoint(run, checkpoint)
    return checkpoint


def test_a_checkpoint_holds_both_and_a_resumed_run_takes_both():
    straight, hook = runner(Small()), TrainableEMAHook(momentum=0.3)
    train(hook, straight, [1.0, 2.0, 5.0])
    checkpoint = saved(hook, straight)
    assert torch.all(checkpoint['raw_state_dict']['trained.weight'] == 5.0)
    assert torch.equal(checkpoint['state_dict']['trained.weight'], hook.averages['trained.weight'])
    resumed, other = runner(Small(), iter=3, _resume=True), TrainableEMAHook(momentum=0.3)
    other.after_load_checkpoint(resumed, checkpoint)
    resumed.bare_model.load_state_dict(checkpoint['state_dict'])
    assert torch.all(resumed.bare_model.trained.weight == 5.0)
    other.before_train(resumed)
    for each in ((hook, straight), (other, resumed)):
        train(*each, [7.0, 9.0])
    assert all(torch.equal(hook.averages[name], other.averages[name]) for name in hook.averages)


def test_a_checkpoint_that_is_not_resumed_gives_its_average():
    run, hook = runner(Small()), TrainableEMAHook(momentum=0.5)
    train(hook, run, [1.0, 3.0])
    checkpoint = saved(hook, run)
    fresh = TrainableEMAHook()
    fresh.after_load_checkpoint(runner(Small()), checkpoint)
    assert torch.all(checkpoint['state_dict']['trained.weight'] == 2.0)
    # the best checkpoint of a resumed run, loaded when it has ended
    hook.after_train(run)
    run._resume = True
    hook.after_load_checkpoint(run, checkpoint)
    assert torch.all(checkpoint['state_dict']['trained.weight'] == 2.0)
    assert not hook.averages


def test_averages_that_would_never_be_are_refused():
    with pytest.raises(
        UserError, match='begins at update 10 of the optimizer, the run ends at 10: train longer'
    ):
        TrainableEMAHook(begin=10).before_train(runner(Small()))
    with pytest.raises(UserError, match='checkpoint of iteration 7 holds no average'):
        TrainableEMAHook(begin=5).before_train(runner(Small(), iter=7))
    for wrong in (dict(momentum=0.0), dict(momentum=1.0), dict(begin=-1)):
        with pytest.raises(UserError, match='expected 0 < momentum < 1'):
            TrainableEMAHook(**wrong)


def test_rate_by_prefix_beside_all_else():
    module = model(dict(type='Rein', num_tokens=5, rank=2, query_dims=8))
    plain, slow = (
        build(module, norm_decay_mult=0.0, **more)
        for more in ({}, dict(prefix_lr_mult={'backbone.': 0.5}))
    )
    rates = [
        {id(p): (group['lr'], group['weight_decay']) for group in w.optimizer.param_groups
         for p in group['params']}
        for w in (plain, slow)
    ]  # fmt: skip
    for name, param in module.named_parameters():
        if param.requires_grad:
            lr, decay = rates[0][id(param)]
            factor = 0.5 if name.startswith('backbone.') else 1.0
            assert rates[1][id(param)] == (lr * factor, decay), name


STEPS = 40


def annealed(wrapper):
    return PARAM_SCHEDULERS.build(
        dict(
            type='CosineAnnealingParamScheduler', param_name='weight_decay', end=STEPS,
            eta_min_ratio=1e-5 / 0.05, by_epoch=False, optimizer=wrapper,
        )
    )  # fmt: skip


def decays(wrapper):
    return [group['weight_decay'] for group in wrapper.optimizer.param_groups]


def advance(wrapper, scheduler, steps):
    found = []
    for _ in range(steps):
        found.append(decays(wrapper))
        wrapper.step()
        scheduler.step()
    return found


def test_weight_decay_is_annealed_and_zero_stays_zero():
    """0.05 -> 1e-5 by a half cosine; a resumed run takes it up bit for bit."""
    module = model(dict(type='Rein', num_tokens=5, rank=2, query_dims=8))
    options = dict(norm_decay_mult=0.0, prefix_lr_mult={'backbone.': 0.5})
    wrapper = build(module, **options)
    scheduler = annealed(wrapper)
    assert set(decays(wrapper)) == {0.05, 0.0}
    found = advance(wrapper, scheduler, STEPS // 2)
    state = copy.deepcopy((wrapper.state_dict(), scheduler.state_dict()))
    found += advance(wrapper, scheduler, STEPS // 2)
    for step, values in enumerate(found):
        expected = 1e-5 + (0.05 - 1e-5) * (1 + math.cos(math.pi * step / STEPS)) / 2
        wanted = [expected if start else 0.0 for start in found[0]]
        assert values == pytest.approx(wanted, rel=1e-6, abs=0)
    resumed = build(module, **options)
    other = annealed(resumed)
    resumed.load_state_dict(state[0])
    other.load_state_dict(state[1])
    assert advance(resumed, other, STEPS // 2) == found[STEPS // 2 :]
