from dataclasses import FrozenInstanceError

import pytest
import torch

from rein_seg.structures import Anatomy, Features, OpSite, Tap


def op(block, role):
    return OpSite(
        block, 0, block, 8, role, f'{block}.{role}', Tap(torch.nn.Linear(8, 8), 'output', 'NLC')
    )


def anatomy(*sites):
    return Anatomy('toy', sites, 1, 16, (8,), (16,), (2,), (8,))


def test_features_are_frozen():
    features = Features(maps=(torch.zeros(1, 2, 3, 3),))
    assert features.queries is None
    with pytest.raises(FrozenInstanceError):
        features.queries = torch.zeros(1)


def test_find_filters_by_block_and_field_in_forward_order():
    sites = [op(0, 'qkv'), op(0, 'fc1'), op(1, 'qkv'), op(1, 'fc1')]
    a = anatomy(*sites)
    assert a.find(OpSite) == tuple(sites)
    assert a.find(OpSite, role='qkv') == (sites[0], sites[2])
    assert a.find(OpSite, role=('qkv', 'fc1'), blocks=[-1]) == (sites[2], sites[3])
    assert str(sites[0]) == 'OpSite(block=0, role=qkv, name=0.qkv)'


def test_state_belongs_to_one_anatomy():
    a, b = anatomy(), anatomy()
    a.state.grid = (3, 4)
    assert b.state.grid == (0, 0)
