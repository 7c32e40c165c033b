"""Resizing by a factor."""

import torch

from rein_seg.resize import resize_by


def test_half_is_the_mean_of_four_and_odd_sides_are_rounded_down():
    x = torch.randn(2, 3, 5, 7)
    assert resize_by(x, 0.5).shape[-2:] == (2, 3)
    torch.testing.assert_close(resize_by(x, 0.5)[..., 0, 0], x[..., :2, :2].mean((-1, -2)))


def test_one_pixel_is_left_at_least():
    assert resize_by(torch.zeros(1, 1, 1, 3), 0.25).shape == (1, 1, 1, 1)


def test_a_factor_of_one_copies_nothing():
    x = torch.zeros(1, 1, 2, 2)
    assert resize_by(x, 1) is x
