"""Strict loading and the fingerprint of tensors."""

import pytest
import torch
from torch import nn

from rein_seg.checkpoint import load_strict, tensors_sha256
from rein_seg.errors import UserError


def test_strict_load_reports_coverage_and_loads_nothing_when_it_fails():
    module = nn.Linear(3, 2)
    state = {'weight': torch.ones(2, 3), 'bias': torch.ones(2)}
    report = load_strict(module, state, what='weights', source='x.pth')
    assert report == 'weights from x.pth: 2/2 tensors, 0 unexpected'
    bad = {'weight': torch.zeros(2, 4), 'more': torch.zeros(1)}
    with pytest.raises(UserError) as error:
        load_strict(module, bad, what='weights', source='x.pth')
    for part in ('0/2 tensors, 1 unexpected', 'Missing: bias', 'Unexpected: more', '(2, 4), expec'):
        assert part in str(error.value)
    assert module.weight.min() == 1


def test_sha_depends_on_names_values_and_types_only():
    a = {'x': torch.arange(6.0).reshape(2, 3), 'y': torch.ones(1)}
    assert tensors_sha256(a) == tensors_sha256(dict(reversed(list(a.items()))))
    assert tensors_sha256(a) != tensors_sha256({**a, 'y': torch.zeros(1)})
    assert tensors_sha256(a) != tensors_sha256({**a, 'y': torch.ones(1).half()})
    assert tensors_sha256({'x': torch.ones(2).bfloat16()})
