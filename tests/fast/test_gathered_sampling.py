"""Forms of deformable sampling against sampling level by level: values and gradients."""

from functools import partial

import pytest
import torch

from rein_seg.fast import compiled_sampling, gathered_sampling, recomputed_sampling
from rein_seg.heads.mask2former.deform_attn import deform_sample
from tests.fast.forms import assert_same, outcome
from tests.fast.samples import SIZES, inputs

PLAIN = deform_sample.plain


def gradients(function, tensors):
    return outcome(function, tensors[:3], tensors[3], SIZES)


def test_gather_equals_sampling_level_by_level():
    tensors = inputs()
    assert_same(gradients(gathered_sampling.sample, tensors), gradients(PLAIN, tensors))


def test_points_far_outside_give_zero():
    value, offsets, weights, reference = inputs()
    for function in (gathered_sampling.sample, PLAIN):
        assert not function(value, offsets + 1e4, weights, reference, SIZES).any()


@pytest.mark.parametrize('kernel', [True, False])
def test_gather_has_the_right_gradients(monkeypatch, kernel):
    if kernel and not gathered_sampling._can_sample_products():
        pytest.skip('this PyTorch has no sampled products')
    monkeypatch.setattr(gathered_sampling, '_can_sample_products', lambda: kernel)
    value, offsets, weights, reference = (
        t.double() for t in inputs(queries=3, heads=2, width=3, spread=1.0)
    )
    leaves = [t.requires_grad_() for t in (value, offsets, weights)]
    assert torch.autograd.gradcheck(
        lambda *tensors: gathered_sampling.sample(*tensors, reference, SIZES), leaves
    )


@pytest.mark.parametrize('place', [-1.5, -1.0, -0.5, 0.0, 1.0, 1.5, 2.0, 2.5])
def test_borders_are_as_level_by_level(place):
    """Places in pixels of a level three wide, in both directions; 0 is the first centre."""
    value = torch.arange(1.0, 10).view(1, 9, 1, 1)
    offsets = torch.full((1, 1, 1, 1, 1, 2), place + 0.5)
    arguments = (value, offsets, torch.ones(1, 1, 1, 1, 1), torch.zeros(1, 2), [(3, 3)])
    found = []
    for function in (gathered_sampling.sample, PLAIN):
        out = function(*arguments)
        found.append(out.item())
    assert found[0] == pytest.approx(found[1], abs=1e-5)


def test_places_that_are_no_numbers_give_no_number():
    value, offsets, weights, reference = inputs()
    offsets[0, 3, 1, 2, 0] = torch.nan
    out = gathered_sampling.sample(value, offsets, weights, reference, SIZES)
    assert out[0, 3, 1].isnan().all()
    assert out.isnan().sum() == out.shape[-1]


def test_samples_computed_again_in_the_backward_pass_have_the_same_gradients():
    """On a GPU without the compiled operation."""
    tensors = inputs()
    again = partial(recomputed_sampling.sample, PLAIN)
    for ours, plain in zip(gradients(again, tensors), gradients(PLAIN, tensors), strict=True):
        assert torch.equal(ours, plain)


def test_a_form_of_each_device():
    value, meta = torch.zeros(1), torch.zeros(1, device='meta')
    assert gathered_sampling.applies(value)
    assert not recomputed_sampling.applies(value)
    assert not compiled_sampling.applies(value)
    assert recomputed_sampling.applies(meta)
    assert not gathered_sampling.applies(meta)


def test_a_compiled_step_leaves_the_gather_alone():
    """A compiled training step calls the backward pass, too: dynamo failed inside SciPy."""
    tensors = inputs()
    step = torch.compile(partial(gradients, deform_sample), backend='eager')
    assert_same(step(tensors), gradients(PLAIN, tensors))
    torch._dynamo.reset()


@pytest.mark.gpu
@pytest.mark.skipif(
    not torch.cuda.is_available() or compiled_sampling.compiled_op() is None,
    reason='needs a GPU and compiled mmcv',
)
def test_compiled_op_equals_the_plain_one():
    tensors = [t.cuda() for t in inputs(width=8)]
    ours, plain = (gradients(f, tensors) for f in (compiled_sampling.sample, PLAIN))
    assert_same(ours, plain, rtol=1e-3, atol=1e-4)
