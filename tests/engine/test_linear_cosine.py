"""The linear warm-up and cosine: its ends, resuming, a run that is too short."""

import pytest
import torch
from torch import nn

from rein_seg.engine import LinearCosineLR
from rein_seg.errors import UserError


def rates(steps, *, warmup=2, state=None):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = LinearCosineLR(optimizer, warmup=warmup, eta_min=0.2, end=6, by_epoch=False)
    if state:
        schedule.load_state_dict(state)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        schedule.step()
    return found, schedule.state_dict()


def test_the_least_rate_is_where_the_run_ends():
    found, _ = rates(6)
    assert found[:3] == [0, 0.5, 1]
    assert found[4] == pytest.approx(0.6)  # half of the way from 1 to 0.2
    assert rates(1, warmup=0)[0] == [1]


def test_a_resumed_schedule_goes_on():
    whole, _ = rates(6)
    first, state = rates(3)
    rest, _ = rates(3, state=state)
    assert first + rest[1:] == whole[:3] + whole[4:]


def test_a_warm_up_of_the_whole_run():
    with pytest.raises(UserError, match='the warm-up takes 6 iterations, and the run has 6'):
        rates(1, warmup=6)
