"""The contract of methods: trained parameters and saved tensors."""

import copy

import pytest
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from tests.peft.contract import (
    assert_same,
    at_start,
    build,
    image,
    on_every_pair,
    randomise,
    training_loss,
)

# biases that the batch norms of the next layers take off again, in training, where a map is small
ABSORBED = {'ddrnet': {'encoder.layer5.0.bn3.bias', 'encoder.layer5.0.downsample.1.bias'}}


@on_every_pair
def test_trainable_set_is_the_declared_one(case, family):
    backbone = at_start(case, family)
    declared = {id(p) for _, p in backbone.peft.trainable_parameters()}
    switched_on = {id(p) for p in backbone.parameters() if p.requires_grad}
    assert declared == switched_on


@on_every_pair
def test_every_trainable_parameter_gets_a_gradient(case, family):
    backbone = build(case, family)
    trainable = {n for n, p in backbone.named_parameters() if p.requires_grad}
    if not trainable:
        assert not training_loss(backbone).requires_grad
        return
    randomise(backbone)
    training_loss(backbone).backward()
    got = {n for n, p in backbone.named_parameters() if p.grad is not None}
    assert got == trainable
    grads = [p.grad for p in backbone.parameters() if p.grad is not None]
    assert all(torch.isfinite(g).all() for g in grads)
    still = {n for n, p in backbone.named_parameters() if p.grad is not None and not p.grad.any()}
    assert still == (ABSORBED.get(family, set()) if case.name == 'full' else set())


@on_every_pair
def test_state_dict_round_trip_is_strict_and_small(case, family):
    backbone = build(case, family)
    randomise(backbone)
    state = {k: v.clone() for k, v in backbone.state_dict().items()}
    trained = {n for n, p in backbone.named_parameters() if p.requires_grad}
    assert trained <= set(state)
    if keeps_statistics(backbone):
        assert set(state) == trained
    elif not backbone.peft.trains_encoder:
        assert set(state) == {f'peft.{n}' for n in backbone.peft.state_dict()}
    other = build(case, family)
    other.load_state_dict(state, strict=True)
    assert_same(other.eval()(image()), backbone.eval()(image()))
    if state:
        state.pop(next(iter(state)))
        with pytest.raises(RuntimeError, match='Missing'):
            build(case, family).load_state_dict(state, strict=True)


@on_every_pair
def test_activation_checkpointing_has_the_same_gradients(case, family):
    plain, saving = build(case, family), build(case, family, activation_checkpointing=True)
    for backbone in (plain, saving):
        randomise(backbone)
        loss = training_loss(backbone)
        if loss.requires_grad:
            loss.backward()
    for (name, a), b in zip(plain.named_parameters(), saving.parameters(), strict=True):
        if a.grad is not None:
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-5, msg=name)


@on_every_pair
def test_a_copy_without_gradients_still_saves_what_trains(case, family):
    """As averaging hooks make it."""
    backbone = at_start(case, family)
    twin = copy.deepcopy(backbone).requires_grad_(False)
    assert set(twin.state_dict()) == set(backbone.state_dict())


@on_every_pair
def test_frozen_parts_stay_in_eval_mode(case, family):
    backbone = build(case, family)
    assert backbone.train() is backbone
    assert backbone.peft.training
    assert backbone.encoder.training == backbone.peft.trains_encoder
    norms = [m for m in backbone.encoder.modules() if isinstance(m, _BatchNorm)]
    follow = backbone.peft.trains_encoder and not keeps_statistics(backbone)
    assert {norm.training for norm in norms} <= {follow}
    assert not any(m.training for m in backbone.train(False).encoder.modules())


def keeps_statistics(backbone):
    """Whether batch norms keep their pretrained statistics while the encoder trains."""
    return getattr(backbone.peft, 'norm_eval', False)
