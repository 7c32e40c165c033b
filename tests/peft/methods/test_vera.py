"""VeRA alone."""

import pytest
import torch

from rein_seg.errors import UserError
from tests.peft.build import backbone, image, move


def test_state_is_two_vectors_a_layer_and_the_pair_is_rebuilt():
    model = move(backbone(type='VeRA', rank=8))
    assert {name.rsplit('.', 1)[-1] for name in model.state_dict()} == {'lambda_b', 'lambda_d'}
    # r for each of q and v, and as many as they have channels; three blocks
    assert sum(p.numel() for p in model.peft.parameters()) == 3 * (2 * 8 + 2 * 32)
    other = backbone(type='VeRA', rank=8)
    assert torch.equal(other.peft.pair.down, model.peft.pair.down)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.eval()(image()).maps[-1], model.eval()(image()).maps[-1])
    assert not torch.equal(
        backbone(type='VeRA', rank=8, seed=1).peft.pair.down, model.peft.pair.down
    )


def test_the_pair_does_not_depend_on_the_global_generator():
    pairs = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        pairs.append(backbone(type='VeRA', rank=8).peft.pair.up)
    assert torch.equal(*pairs)


def test_the_pair_is_as_large_as_the_largest_layer_and_cut_for_others():
    model = backbone('swin', type='VeRA', targets=['q', 'proj', 'fc1', 'fc2'], rank=8)
    assert (model.peft.pair.down.shape, model.peft.pair.up.shape) == ((8, 128), (128, 8))
    bound = (6 / 128) ** 0.5
    assert 0.9 * bound < model.peft.pair.down.abs().max() <= bound


def test_convolutions_must_be_1x1():
    with pytest.raises(UserError, match=r"not '.*conv1' \(kernel \(3, 3\), groups 1\)"):
        backbone('resnet', type='VeRA', targets=['conv1'])
    with pytest.raises(UserError, match=r"has no \['q', 'v'\]; it has"):
        backbone('resnet', type='VeRA')
