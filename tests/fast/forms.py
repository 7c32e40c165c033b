"""A fast form beside its plain form: outputs and gradients of both."""

import torch

from rein_seg.fast.dispatch import without


def outcome(function, tensors, *rest):
    """Returns the output and the gradients of the float tensors."""
    leaves = [t.clone().requires_grad_() for t in tensors]
    out = function(*leaves, *rest)
    slope = torch.linspace(-1, 1, out.numel()).view_as(out)
    return [out.detach(), *torch.autograd.grad((out * slope).sum(), leaves, allow_unused=True)]


def assert_same(found, expected, rtol=1e-4, atol=1e-5):
    for ours, plain in zip(found, expected, strict=True):
        if plain is None:
            assert ours is None
        else:
            torch.testing.assert_close(ours, plain, rtol=rtol, atol=atol)


def assert_form_is_plain(function, tensors, *rest, name, rtol=1e-4, atol=1e-5):
    """Compares a decorated function with itself without the form of this name."""
    found = outcome(function, tensors, *rest)
    with without(name):
        expected = outcome(function, tensors, *rest)
    assert_same(found, expected, rtol, atol)
