"""Gradients of batch norms on CPUs, where PyTorch computes them wrongly for one image."""

import copy

import pytest
import torch
from torch import nn

from rein_seg.models.batch_norm import guard_batch_norms
from tests.models.tiny import build

LORA = dict(type='LoRA', rank=2)
STRIDES = [(4, 1, 20, 4), (7, 1, 20, 4), (60, 1, 20, 4), (60, 15, 5, 1)]


def gradients(norm, x, upstream):
    """Returns the gradients of input, weight and bias."""
    return torch.autograd.grad(norm(x), [x, norm.weight, norm.bias], upstream)


def by_hand(norm, x, g):
    """Returns the same for a norm in eval mode, in float64."""
    scale = norm.running_var.double().add(norm.eps).rsqrt()[:, None, None]
    normed = (x.detach().double() - norm.running_mean.double()[:, None, None]) * scale
    g = g.double()
    return (
        g * scale * norm.weight.detach().double()[:, None, None],
        (g * normed).sum((0, 2, 3)),
        g.sum((0, 2, 3)),
    )


@pytest.mark.parametrize('strides', STRIDES)
@pytest.mark.parametrize('training', [False, True])
def test_gradients_do_not_depend_on_strides(strides, training):
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(4).train(training)
    guard_batch_norms(norm)
    x = torch.randn(1, 4, 3, 5, requires_grad=True)
    plain = torch.randn(1, 4, 3, 5)
    odd = torch.empty_strided((1, 4, 3, 5), strides).copy_(plain)
    found = gradients(norm, x, odd)
    for one, other in zip(found, gradients(norm, x, plain), strict=True):
        assert torch.equal(one, other)
    if not training:
        for one, other in zip(found, by_hand(norm, x, plain), strict=True):
            torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-5)


def test_every_batch_norm_of_a_model_is_guarded_once():
    head = dict(type='FCNHead', channels=8, norm_cfg=dict(type='BN'), num_convs=2)
    for model in (build(head=head, peft=LORA), copy.deepcopy(build(head=head, peft=LORA))):
        norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
        assert len(norms) == 3
        guard_batch_norms(model)
        assert [len(norm._forward_hooks) for norm in norms] == [1, 1, 1]
