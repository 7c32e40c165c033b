"""FADA alone."""

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.errors import UserError
from rein_seg.peft import FADA
from rein_seg.peft.methods.fada import ChannelFADA, SpatialFADA, channel_layout, haar, inverse_haar
from tests.encoders.tiny import ENCODERS

SIZES = dict(num_tokens=100, rank=16, query_dims=256, scale_init=0.001)


def stage(kind, channels=8):
    sizes = dict(num_tokens=5, rank=2, query_dims=None, scale_init=1.0)
    return kind(1, channels, **sizes).eval()


def test_haar_is_orthonormal_and_inverted():
    x = torch.randn(2, 3, 6, 4)
    bands = haar(x)
    torch.testing.assert_close(inverse_haar(bands), x)
    torch.testing.assert_close(sum(band.square().sum() for band in bands), x.square().sum())
    assert all(not band.any() for band in haar(torch.ones(1, 4, 4))[1:])


@pytest.mark.parametrize(('kind', 'expected'), [(ChannelFADA, 2.05e6), (SpatialFADA, 5.52e6)])
def test_size_on_vit_large(kind, expected):
    with torch.device('meta'):
        module = kind(24, 1024, **SIZES)
    assert sum(p.numel() for p in module.parameters()) == pytest.approx(expected, rel=0.01)


def test_a_spatial_delta_knows_the_plane_and_a_channel_delta_does_not():
    """A change of one patch reaches its 2 x 2 neighbours through the wavelets."""
    f = torch.randn(1, 16, 8)
    moved = f.clone()
    moved[0, 0] += 1.0
    for kind, reached in ((SpatialFADA, {0, 1, 4, 5}), (ChannelFADA, {0})):
        module = stage(kind)
        with torch.no_grad():
            change = (module(moved, 0, (4, 4)) - module(f, 0, (4, 4))).abs().amax((0, 2))
        assert set(change.nonzero().flatten().tolist()) == reached


@pytest.mark.parametrize('grid', [(3, 5), (1, 1), (4, 3)])
@pytest.mark.parametrize('kind', [SpatialFADA, ChannelFADA])
def test_any_grid_goes_through(kind, grid):
    f = torch.randn(2, grid[0] * grid[1], 8)
    assert stage(kind)(f, 0, grid).shape == f.shape


def test_layout_of_the_channels():
    assert channel_layout(1024, 1024) == 32
    assert channel_layout(64, 64) == 8
    assert channel_layout(24, 32) == 4
    assert channel_layout(1369, 1024) == 32  # 37 x 37 tokens
    assert channel_layout(1, 8) == 2


def test_errors():
    with pytest.raises(UserError, match="mode='time': expected spatial or channel"):
        FADA(mode='time')
    with pytest.raises(UserError, match='FADA num_tokens=1: expected a whole number, at least 2'):
        FADA(num_tokens=1)
    with pytest.raises(UserError, match='divides channels by 4, the encoder has 6'):
        ChannelFADA.widths(6)


def test_one_module_a_stage():
    peft = dict(type='FADA', num_tokens=5, rank=2, query_dims=8)
    model = MODELS.build(dict(type='PEFTBackbone', encoder=ENCODERS['convnext'], peft=peft))
    assert [s.low.mlp_delta_f.in_features for s in model.peft.stages] == [16, 32]
    assert model.peft.queries().shape == (5, 8)
