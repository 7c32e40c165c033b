"""Deformable attention: its start, its types; the plain sampling at the centre of a pixel."""

import pytest
import torch

from rein_seg.heads.mask2former.deform_attn import DeformAttention, deform_sample
from tests.fast.samples import ROWS, SIZES


def test_weights_are_float32_where_products_are_bfloat16():
    seen = []
    torch.manual_seed(0)
    layer, x = DeformAttention(12, 3), torch.randn(2, ROWS, 12) * 10
    layer.sample = lambda value, offsets, weights, *rest: (
        seen.append(weights) or deform_sample(value, offsets, weights, *rest)
    )
    torch.nn.init.normal_(layer.attention_weights.weight)
    with torch.autocast('cpu', torch.bfloat16):
        layer(x, x, x, torch.rand(ROWS, 2), SIZES)
    torch.testing.assert_close(seen[0].sum((-1, -2)), torch.ones(2, ROWS, 3), rtol=0, atol=1e-6)


def test_the_centre_of_a_pixel_gives_its_value():
    value = torch.arange(6.0).view(1, 6, 1, 1)
    reference = torch.tensor([[2.5 / 3, 0.5 / 2]])  # column 2, row 0
    offsets, weights = torch.zeros(1, 1, 1, 1, 1, 2), torch.ones(1, 1, 1, 1, 1)
    out = deform_sample.plain(value, offsets, weights, reference, [(2, 3)])
    assert out.item() == pytest.approx(2.0)


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
