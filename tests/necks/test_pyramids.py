"""Pyramids from equal-sized maps: sizes, places that are sampled, what trains."""

import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import nn

from rein_seg.errors import UserError
from rein_seg.necks import ConvPyramid, TokenPyramid


def maps(channels=8, height=5, width=6):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, channels, height, width, generator=generator) for _ in range(4)]


@pytest.mark.parametrize('kind', ['ConvPyramid', 'TokenPyramid'])
def test_sizes_and_channels(kind):
    neck = MODELS.build(dict(type=kind, in_channels=(8, 8, 8, 8)))
    shapes = [tuple(m.shape) for m in neck(maps())]
    assert shapes == [(2, 8, 20, 24), (2, 8, 10, 12), (2, 8, 5, 6), (2, 8, 2, 3)]
    assert neck.out_channels == (8, 8, 8, 8)


def test_convolutions_are_those_of_the_table():
    neck = ConvPyramid((8, 8, 8, 8))
    kinds = [[type(m) for m in level] for level in neck.levels]
    norm, double = nn.GroupNorm, nn.ConvTranspose2d
    assert kinds == [[norm, double, nn.GELU, double], [norm, double], [norm], [norm, nn.MaxPool2d]]
    assert all(level[0].num_groups == 1 for level in neck.levels)
    sum(m.square().sum() for m in neck(maps())).backward()
    assert all(p.grad is not None and p.grad.any() for p in neck.parameters())


def test_halving_normalises_then_takes_the_largest():
    neck = ConvPyramid((8,), factors=(0.5,))
    x = maps(height=4, width=4)[0]
    expected = F.max_pool2d(F.group_norm(x, 1), 2)
    torch.testing.assert_close(neck([x])[0], expected)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(in_channels=(8, 8)), '4 factors for 2 maps'),
        (dict(in_channels=(8,), factors=(3,)), r'factor 3: expected one of \[4, 2, 1, 0.5\]'),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(UserError, match=message):
        ConvPyramid(**options)


def test_a_map_that_is_too_small_to_be_halved():
    with pytest.raises(UserError, match=r'map of \(1, 6\) steps .*: expected at least 2'):
        ConvPyramid((8, 8, 8, 8))(maps(height=1))
    assert ConvPyramid((8,), factors=(2,))(maps(height=1)[:1])[0].shape == (2, 8, 2, 12)


def test_odd_side_is_halved_by_factor():
    """The mean of pixels 0 and 1, then of 2 and 3: the fifth takes no part."""
    neck = TokenPyramid((1,), factors=(0.5,))
    row = torch.tensor([0.0, 1, 10, 11, 100]).reshape(1, 1, 1, 5)
    assert neck([row.expand(1, 1, 2, 5)])[0].flatten().tolist() == [0.5, 10.5]
    assert neck([row])[0].shape == (1, 1, 1, 2)


def test_pyramid_sizes_and_number_of_maps():
    neck = TokenPyramid((8, 8, 8, 8), out_channels=4)
    maps = neck([torch.randn(1, 8, 5, 7)] * 4)
    assert [tuple(m.shape) for m in maps] == [
        (1, 4, 20, 28),
        (1, 4, 10, 14),
        (1, 4, 5, 7),
        (1, 4, 2, 3),
    ]
    with pytest.raises(UserError, match='4 factors for 3 maps'):
        TokenPyramid((8, 8, 8))


def test_pyramid_half_is_the_mean_of_two_by_two():
    neck = TokenPyramid((1,), factors=(0.5,))
    x = torch.randn(1, 1, 6, 4)
    torch.testing.assert_close(neck([x])[0], torch.nn.functional.avg_pool2d(x, 2))
