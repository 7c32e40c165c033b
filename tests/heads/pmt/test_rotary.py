"""Rotary positions: DINOv3's table, random scales, tokens that have no place."""

import math

import pytest
import torch
from timm.layers import RotaryEmbeddingDinoV3

from rein_seg.heads.pmt.rotary import ScaleDraws, rotary_table, rotate


@pytest.mark.parametrize('grid', [(4, 4), (3, 5), (7, 2)])
@pytest.mark.parametrize('dims', [8, 16])
def test_table_is_the_one_of_a_dinov3_encoder(grid, dims):
    official = RotaryEmbeddingDinoV3(dims, rotate_half=True).eval()
    sine, cosine = official.get_embed(grid).chunk(2, dim=-1)
    ours = rotary_table(grid, dims)
    torch.testing.assert_close(ours[0], cosine, rtol=0, atol=1e-6)
    torch.testing.assert_close(ours[1], sine, rtol=0, atol=1e-6)


def test_a_scale_multiplies_the_coordinates():
    scaled, plain = rotary_table((1, 2), 4, scale=0.5), rotary_table((1, 2), 4)
    # centres at -0.5 and 0.5 along x: the angle of pi becomes a quarter of a turn
    torch.testing.assert_close(plain[0][:, 1], torch.tensor([-1.0, -1.0]))
    torch.testing.assert_close(scaled[1][:, 1], torch.tensor([-1.0, 1.0]))


def test_patches_alone_turn_and_keep_their_lengths():
    x = torch.randn(2, 3, 4 + 6, 8)
    turned = rotate(x, rotary_table((2, 3), 8))
    assert torch.equal(turned[:, :, :4], x[:, :, :4])
    assert not torch.allclose(turned[:, :, 4:], x[:, :, 4:])
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    half = rotate(x.bfloat16(), rotary_table((2, 3), 8))
    assert half.dtype == torch.bfloat16


def test_products_depend_on_the_distance_of_patches_alone():
    q, k = torch.randn(2, 1, 1, 1, 16)
    table = rotary_table((4, 4), 16)
    turned = [rotate(x.expand(1, 1, 16, 16), table)[0, 0] for x in (q, k)]
    products = turned[0] @ turned[1].T
    torch.testing.assert_close(products[0, 5], products[10, 15])  # one step down, one right
    assert (products[0, 5] - products[0, 1]).abs() > 1e-3


def test_scales_are_log_uniform_between_the_bounds():
    torch.manual_seed(0)
    drawn = torch.stack([ScaleDraws().factor(2.0, torch.device('cpu')) for _ in range(2000)])
    assert 0.5 <= drawn.min() < 0.505 and 1.98 < drawn.max() <= 2
    logs = drawn.log() / math.log(2)
    assert abs(logs.mean()) < 0.05
    assert abs(logs.std() - 1 / math.sqrt(3)) < 0.03
