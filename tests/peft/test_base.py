"""The base class of methods."""

import pytest
import torch

from tests.peft.build import backbone


def test_no_graph_is_kept_below_the_first_trainable_site():
    model = backbone(type='LoRA', targets=['fc2'], blocks=[-1])
    maps = model(torch.randn(1, 3, 32, 32)).maps
    assert [m.requires_grad for m in maps] == [False, False, True]


def test_attaching_twice_is_refused():
    model = backbone(type='LoRA')
    with pytest.raises(RuntimeError, match='attached already'):
        model.peft.attach(model.encoder, model.anatomy)
