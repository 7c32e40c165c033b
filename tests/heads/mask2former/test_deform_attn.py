"""Deformable attention: every way to sample gives the same, values and gradients."""

from functools import partial

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from rein_seg.fast import deform_gather
from rein_seg.heads.mask2former import deform_attn
from rein_seg.heads.mask2former.deform_attn import (
    DeformAttention,
    compiled_op,
    deform_sample,
    sample_by_gather,
    sample_by_grid,
    sample_compiled,
    short_softmax,
)

SIZES = [(2, 3), (5, 4), (7, 9)]
ROWS = sum(h * w for h, w in SIZES)


def inputs(batch=2, queries=11, heads=3, width=4, points=2, spread=3.0):
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    value = draw(batch, ROWS, heads, width)
    offsets = draw(batch, queries, heads, len(SIZES), points, 2) * spread  # many fall outside
    weights = draw(batch, queries, heads, len(SIZES) * points).softmax(-1)
    weights = weights.view(batch, queries, heads, len(SIZES), points)
    reference = torch.rand(queries, 2, generator=generator)
    return [value, offsets, weights, reference]


def gradients(function, tensors):
    leaves = [t.clone().requires_grad_() for t in tensors[:3]]
    out = function(*leaves, tensors[3], SIZES)
    (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
    return [out.detach(), *(leaf.grad for leaf in leaves)]


def test_gather_equals_sampling_level_by_level():
    tensors = inputs()
    for ours, plain in zip(
        gradients(sample_by_gather, tensors), gradients(sample_by_grid, tensors), strict=True
    ):
        torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('length', [1, 12, 16])
def test_a_short_softmax_is_a_softmax(length):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 7, length, generator=generator) * 30
    x[0, 0] += 200  # exp of it would be infinite
    slope = torch.randn(x.shape, generator=generator)
    found = []
    for function in (short_softmax, partial(torch.softmax, dim=-1)):
        leaf = x.clone().requires_grad_()
        out = function(leaf)
        found.append((out, *torch.autograd.grad(out, leaf, slope)))
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-6)


def test_weights_are_float32_where_products_are_bfloat16(monkeypatch):
    seen = []

    def look(value, offsets, weights, reference, sizes):
        seen.append(weights)
        return sample_by_gather(value, offsets, weights, reference, sizes)

    monkeypatch.setattr(deform_attn, 'deform_sample', look)
    torch.manual_seed(0)
    layer, x = DeformAttention(12, 3), torch.randn(2, ROWS, 12) * 10
    torch.nn.init.normal_(layer.attention_weights.weight)
    with torch.autocast('cpu', torch.bfloat16):
        layer(x, x, x, torch.rand(ROWS, 2), SIZES)
    torch.testing.assert_close(seen[0].sum((-1, -2)), torch.ones(2, ROWS, 3), rtol=0, atol=1e-6)


def test_points_far_outside_give_zero():
    value, offsets, weights, reference = inputs()
    for function in (sample_by_gather, sample_by_grid):
        assert not function(value, offsets + 1e4, weights, reference, SIZES).any()


def test_the_centre_of_a_pixel_gives_its_value():
    value = torch.arange(6.0).view(1, 6, 1, 1)
    reference = torch.tensor([[2.5 / 3, 0.5 / 2]])  # column 2, row 0
    offsets, weights = torch.zeros(1, 1, 1, 1, 1, 2), torch.ones(1, 1, 1, 1, 1)
    out = sample_by_gather(value, offsets, weights, reference, [(2, 3)])
    assert out.item() == pytest.approx(2.0)


@pytest.mark.parametrize('kernel', [True, False])
def test_gather_has_the_right_gradients(monkeypatch, kernel):
    if kernel and not deform_gather._can_sample_products():
        pytest.skip('this PyTorch has no sampled products')
    monkeypatch.setattr(deform_gather, '_can_sample_products', lambda: kernel)
    value, offsets, weights, reference = (
        t.double() for t in inputs(queries=3, heads=2, width=3, spread=1.0)
    )
    leaves = [t.requires_grad_() for t in (value, offsets, weights)]
    assert torch.autograd.gradcheck(
        lambda *tensors: sample_by_gather(*tensors, reference, SIZES), leaves
    )


@pytest.mark.parametrize('place', [-1.5, -1.0, -0.5, 0.0, 1.0, 1.5, 2.0, 2.5])
def test_borders_are_as_level_by_level(place):
    """Places in pixels of a level three wide, in both directions; 0 is the first centre."""
    value = torch.arange(1.0, 10).view(1, 9, 1, 1)
    offsets = torch.full((1, 1, 1, 1, 1, 2), place + 0.5)
    arguments = (value, offsets, torch.ones(1, 1, 1, 1, 1), torch.zeros(1, 2), [(3, 3)])
    found = []
    for function in (sample_by_gather, sample_by_grid):
        out = function(*arguments)
        found.append(out.item())
    assert found[0] == pytest.approx(found[1], abs=1e-5)


def test_places_that_are_no_numbers_give_no_number():
    value, offsets, weights, reference = inputs()
    offsets[0, 3, 1, 2, 0] = torch.nan
    out = sample_by_gather(value, offsets, weights, reference, SIZES)
    assert out[0, 3, 1].isnan().all()
    assert out.isnan().sum() == out.shape[-1]


def test_start_looks_along_a_star():
    attention = DeformAttention(16, 4, num_levels=2, num_points=3)
    offsets = attention.sampling_offsets.bias.view(4, 2, 3, 2)
    directions = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    expected = directions[:, None, None] * torch.tensor([1.0, 2, 3])[:, None]
    torch.testing.assert_close(offsets, expected.expand_as(offsets), rtol=0, atol=1e-6)
    assert not attention.attention_weights.weight.any()


def test_bfloat16_products_keep_float32_places():
    attention = DeformAttention(16, 4)
    x, reference = torch.randn(1, ROWS, 16), torch.rand(ROWS, 2)
    exact = attention(x, torch.zeros_like(x), x, reference, SIZES)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        rough = attention(x, torch.zeros_like(x), x, reference, SIZES)
    assert rough.dtype == torch.bfloat16
    assert (rough.float() - exact).abs().max() < 0.05


def test_what_a_gpu_without_the_compiled_op_runs_has_the_same_gradients():
    """Level by level, computed again in the backward pass."""
    tensors = inputs()

    def again(*arguments):
        return checkpoint(sample_by_grid, *arguments, use_reentrant=False)

    for ours, plain in zip(
        gradients(again, tensors), gradients(sample_by_grid, tensors), strict=True
    ):
        assert torch.equal(ours, plain)


def test_a_compiled_step_leaves_the_gather_alone():
    """A compiled training step calls the backward pass, too: dynamo failed inside SciPy."""
    tensors = inputs()
    step = torch.compile(partial(gradients, deform_sample), backend='eager')
    for ours, plain in zip(step(tensors), gradients(sample_by_grid, tensors), strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-5)
    torch._dynamo.reset()


@pytest.mark.gpu
@pytest.mark.skipif(
    not torch.cuda.is_available() or compiled_op() is None, reason='needs a GPU and compiled mmcv'
)
def test_compiled_op_equals_the_plain_one():
    tensors = [t.cuda() for t in inputs(width=8)]
    ours, plain = (gradients(f, tensors) for f in (sample_compiled, sample_by_grid))
    for a, b in zip(ours, plain, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
