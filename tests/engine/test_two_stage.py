"""The two warm-ups: groups that rise second, resuming, a run that is too short."""

import pytest
import torch
from torch import nn

from rein_seg.engine import TwoStagePolyLR
from rein_seg.errors import UserError
from tests.engine.optimizers import build, model


def optimizer():
    params = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    return torch.optim.SGD([dict(params=params[:1], late=True), dict(params=params[1:])], lr=1.0)


def rates(steps, *, state=None, built=None):
    built = built or optimizer()
    schedule = TwoStagePolyLR(built, warmup=(2, 3), end=9, by_epoch=False)
    if state:
        schedule.load_state_dict(state)
    found = []
    for _ in range(steps):
        found.append([group['lr'] for group in built.param_groups])
        built.step()
        schedule.step()
    return found, schedule.state_dict()


def test_the_encoder_waits_for_the_heads():
    found, _ = rates(9)
    assert [late for late, _ in found[:6]] == pytest.approx([0, 0, 0, 1 / 3, 2 / 3, 1])
    assert [head for _, head in found[:3]] == [0, 0.5, 1]
    assert found[8] == pytest.approx([(1 / 4) ** 0.9, (1 / 7) ** 0.9])


def test_a_resumed_schedule_goes_on():
    whole, _ = rates(9)
    first, state = rates(4)
    rest, _ = rates(5, state=state)
    assert first + rest[1:] == whole[:4] + whole[5:]


def test_late_prefixes_mark_the_groups_of_encoder_and_method():
    module = model(dict(type='LoRA'))
    built = build(module, late_prefixes=['backbone.']).optimizer
    late = {p for group in built.param_groups if group.get('late') for p in group['params']}
    own = {n for n, p in module.named_parameters() if p in late}
    assert own == {n for n, p in module.backbone.named_parameters('backbone') if p.requires_grad}
    assert len(own) > 0 and all('late' not in g for g in build(module).optimizer.param_groups)


def test_warm_ups_that_take_the_whole_run():
    with pytest.raises(UserError, match=r'warm-ups \(5, 4\) take 9 iterations, and the run has 9'):
        TwoStagePolyLR(optimizer(), warmup=(5, 4), end=9, by_epoch=False)
