"""Optimizer groups, seeds, autocast, checkpoints of the runner."""

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmseg.registry import HOOKS, OPTIM_WRAPPERS
from torch import nn

from rein_seg.engine import TrainableOptimConstructor
from rein_seg.engine.checkpoint_files import latest_checkpoint
from rein_seg.engine.ranks import setup_distributed
from rein_seg.engine.runner import PEFTRunner
from rein_seg.errors import UserError
from tests.engine.optimizers import build, hyper, model


@pytest.mark.parametrize('method', ['Rein', 'LoRA', 'Frozen', 'Full'])
def test_optimizer_holds_exactly_what_trains(method):
    module = model(dict(type=method))
    found = hyper(module, build(module))
    assert set(found) == {n for n, p in module.named_parameters() if p.requires_grad}


def test_hyper_parameters_of_each_tensor_in_few_groups():
    module = model(dict(type='Rein', num_tokens=5, rank=2, query_dims=8))
    wrapper = build(
        module,
        norm_decay_mult=0.0,
        custom_keys={'decode_head': dict(lr_mult=0.1), 'decode_head.norm': dict(decay_mult=0.5)},
    )
    found = hyper(module, wrapper)
    assert len(wrapper.optimizer.param_groups) == 4
    stage = 'backbone.peft.stages.0'
    # tokens and scale do not decay, their biases do, as in the official optimizer
    assert found[f'{stage}.learnable_tokens_a'] == (0.1, 0.0)
    assert found[f'{stage}.scale'] == (0.1, 0.0)
    assert found[f'{stage}.mlp_delta_f.weight'] == (0.1, 0.05)
    assert found[f'{stage}.mlp_delta_f.bias'] == (0.1, 0.05)
    assert found['decode_head.conv_seg.weight'] == pytest.approx((0.01, 0.05))
    assert found['decode_head.norm.weight'] == pytest.approx((0.1, 0.025))  # the longest key wins


def test_norms_do_not_decay_when_asked():
    module = model(dict(type='Frozen'))
    found = hyper(module, build(module, norm_decay_mult=0.0, bias_decay_mult=0.0))
    assert found['decode_head.norm.weight'][1] == 0
    assert found['decode_head.conv_seg.bias'][1] == 0
    assert found['decode_head.conv_seg.weight'][1] == 0.05


def test_accumulated_gradients_are_those_of_the_whole_batch():
    """Two images one after the other, and both at once: one step each, to the same weights."""
    images = torch.randn(2, 3, 32, 64, generator=torch.Generator().manual_seed(0))
    ended = []
    for counts, batches in ((1, [images]), (2, images.split(1))):
        torch.manual_seed(0)
        module = model(dict(type='LoRA')).eval()  # the head's norm would see other batches
        cfg = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9), accumulative_counts=counts)
        wrapper = TrainableOptimConstructor(cfg)(module)
        wrapper.initialize_count_status(module, 0, len(batches))
        before = [p.detach().clone() for p in module.parameters() if p.requires_grad]
        for batch in batches:
            with wrapper.optim_context(module):
                loss = module.decode_head(module.extract_feat(batch)).square().mean()
            wrapper.update_params(loss)
        ended.append([p.detach() for p in module.parameters() if p.requires_grad])
    assert any(not torch.equal(a, b) for a, b in zip(before, ended[1], strict=True))
    for whole, parts in zip(*ended, strict=True):
        torch.testing.assert_close(whole, parts, rtol=1e-5, atol=1e-6)


def test_unknown_paramwise_option_and_nothing_to_train():
    with pytest.raises(UserError, match=r"takes .*custom_keys.*, not \['norm_decay'\]"):
        build(nn.Linear(2, 2), norm_decay=0)
    with pytest.raises(UserError, match='nothing in the model trains'):
        build(nn.Linear(2, 2).requires_grad_(False))


def test_keys_that_fit_no_parameter_are_said(monkeypatch):
    said = []
    monkeypatch.setattr('rein_seg.engine.optim.print_log', lambda text, **_: said.append(text))
    keys = dict(weight=dict(lr_mult=0.1), bais=dict(decay_mult=0.0))
    build(nn.Linear(2, 2), custom_keys=keys, prefix_lr_mult={'backbone.': 0.1})
    assert "no parameter has 'bais', 'backbone.' in its name, so this sets no rate" in said[0]


def test_a_training_step_draws_the_same_whatever_came_before():
    hook = HOOKS.build(dict(type='IterationSeedHook'))

    def draw(iteration):
        hook.before_train_iter(SimpleNamespace(seed=5, iter=iteration), batch_idx=iteration)
        return torch.rand(1).item(), np.random.rand(), random.random()  # noqa: NPY002

    first = draw(7)
    torch.rand(100)
    assert draw(8) != first
    assert draw(7) == first


def test_autocast_wrapper_computes_in_bfloat16_on_cpu():
    module = nn.Linear(4, 4)
    wrapper = OPTIM_WRAPPERS.build(
        dict(type='AutocastOptimWrapper', optimizer=torch.optim.SGD(module.parameters(), lr=0.1))
    )
    with wrapper.optim_context(module):
        out = module(torch.ones(1, 4))
    assert out.dtype == torch.bfloat16
    before = module.weight.detach().clone()
    wrapper.update_params(out.float().sum())
    assert module.weight.dtype == torch.float32
    assert not torch.equal(module.weight, before)


def test_autocast_hook_is_left_after_the_step():
    hook = HOOKS.build(dict(type='AutocastHook'))
    hook.before_test_iter(None, 0)
    assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    hook.after_test_iter(None, 0)
    assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_latest_checkpoint_is_the_highest_iteration(tmp_path):
    with pytest.raises(UserError, match='holds no checkpoint'):
        latest_checkpoint(str(tmp_path))
    for name in ('iter_900.pth', 'iter_1000.pth', '.iter_2000.pth.abc.tmp', 'iter_x.pth'):
        (tmp_path / name).touch()
    assert latest_checkpoint(str(tmp_path)).endswith('/iter_1000.pth')


def test_two_runs_in_a_second_have_their_own_names():
    names = set()
    for _ in range(3):
        runner = object.__new__(PEFTRunner)
        runner._distributed, runner._rank, runner._world_size = False, 0, 1
        runner.setup_env(dict())
        names.add(runner.timestamp)
    assert len(names) == 3


def test_launcher_without_torchrun_is_explained(monkeypatch):
    monkeypatch.delenv('RANK', raising=False)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(UserError, match='RANK is not set; start with torchrun'):
        setup_distributed('pytorch')


def test_every_tensor_decays_when_asked():
    module = model(dict(type='Rein', num_tokens=5, rank=2, query_dims=8))
    assert {decay for _, decay in hyper(module, build(module)).values()} == {0.0, 0.05}
    assert {decay for _, decay in hyper(module, build(module, decay_all=True)).values()} == {0.05}
