"""Levels: which map the decoder takes, and how other maps come to its grid."""

import pytest
import torch
from torch import nn

from rein_seg.heads.pmt.levels import decoder_map, lateral_projection, level_tokens


@pytest.mark.parametrize(
    ('channels', 'strides', 'index'),
    [
        ([8, 8, 8], [14, 14, 14], 0),
        ([96, 192, 384, 768], [4, 8, 16, 32], 2),
        ([96, 192], [4, 8], 1),
        ([8, 8], [8, 32], 0),  # equally near: the finer
        ([16, 16, 8], [16, 16, 16], 0),
        ([8, 16, 16], [16, 16, 16], 1),
    ],
)
def test_the_decoder_takes_the_map_nearest_to_stride_16(channels, strides, index):
    assert decoder_map(channels, strides) == index


def test_larger_maps_are_averaged_and_smaller_maps_resized():
    level = torch.randn(2, 3, 8, 12)
    small = level_tokens(level, None, (2, 3))
    cells = level.unflatten(3, (3, 4)).unflatten(2, (2, 4)).mean((3, 5))
    torch.testing.assert_close(small, cells.flatten(2).transpose(1, 2))
    large = level_tokens(torch.tensor([[[[0.0, 4.0]]]]), None, (1, 4))
    assert large.flatten().tolist() == [0, 1, 3, 4]
    mixed = level_tokens(torch.ones(1, 1, 4, 2), None, (2, 4))  # one side larger, one smaller
    assert mixed.tolist() == torch.ones(1, 8, 1).tolist()


def test_prefix_tokens_stand_in_front():
    prefix, level = torch.randn(2, 3, 8), torch.randn(2, 8, 2, 2)
    tokens = level_tokens(level, prefix, (2, 2))
    assert torch.equal(tokens[:, :3], prefix)
    assert torch.equal(tokens[:, 4], level[:, :, 0, 1])
    assert level_tokens(level, prefix[:, :0], (2, 2)).shape == (2, 4, 8)


def test_projections():
    assert [type(x) for x in lateral_projection('mlp', 8)] == [nn.Linear, nn.GELU, nn.Linear]
    assert lateral_projection('mlp', 8)[0].out_features == 4
    assert lateral_projection('linear', 8).bias is not None
    assert isinstance(lateral_projection('identity', 8), nn.Identity)
