"""The constant warm-up and cosine: parts with their own warm-up; a run that goes on."""

from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from rein_seg.engine import WarmupCosineLR


def groups(paramwise):
    model = nn.Module()
    model.text, model.image = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    constructor = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type='TrainableOptimConstructor',
            optim_wrapper_cfg=dict(optimizer=dict(type='SGD', lr=0.1)),
            paramwise_cfg=paramwise,
        )
    )
    return constructor(model).optimizer


def rates(optimizer, steps, **state):
    schedule = WarmupCosineLR(optimizer, warmup=0.5, end=8, by_epoch=False)
    if state:
        schedule.load_state_dict(state['state'])
    found = []
    for _ in range(steps):
        found.append([group['lr'] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    return found, schedule.state_dict()


def test_parts_of_one_rate_have_groups_of_their_own_where_their_warm_up_differs():
    assert len(groups({}).param_groups) == 1
    optimizer = groups({'prefix_warmup': {'text.': 0.25}})
    found, _ = rates(optimizer, 5)
    assert [group.get('warmup') for group in optimizer.param_groups] == [0.25, None]
    assert found[:2] == [[1e-5, 1e-5]] * 2
    assert found[2] == [0.1, 1e-5]
    assert found[4][1] == 0.1
    assert 0.08 < found[4][0] < 0.09


def test_a_resumed_schedule_goes_on():
    whole, _ = rates(groups({}), 8)
    optimizer = groups({})
    first, state = rates(optimizer, 3)
    rest, _ = rates(optimizer, 5, state=state)
    assert (first + rest)[:3] + rest[1:] == whole[:3] + whole[4:]
