"""SET alone."""

import copy

import pytest
import torch

from rein_seg.errors import UserError
from rein_seg.peft import SET
from rein_seg.peft.methods.set import SETStage, from_polar, polar

MODES = ['spatial', 'channel', 'official']


def stage(mode, channels=8):
    sizes = dict(num_tokens=5, rank=2, query_dims=None, scale_init=1.0)
    return SETStage(1, channels, mode=mode, **sizes).eval()


@pytest.mark.parametrize('grid', [(4, 6), (3, 5), (1, 1), (5, 4)])
def test_the_spatial_transform_has_its_inverse(grid):
    f = torch.randn(2, grid[0] * grid[1], 8)
    amplitude, phase = polar(f, 'spatial', grid)
    assert amplitude.shape == phase.shape == (2, grid[0] * (grid[1] // 2 + 1), 8)
    torch.testing.assert_close(from_polar(amplitude, phase, 'spatial', grid), f, atol=1e-4, rtol=0)


def test_without_a_refinement_the_spatial_transform_is_that_of_the_plane():
    f = torch.randn(1, 24, 3)
    amplitude, _ = polar(f, 'spatial', (4, 6))
    expected = torch.fft.fft2(f[0].T.reshape(3, 4, 6), norm='ortho').abs()[:, :, :4]
    torch.testing.assert_close(amplitude[0].T.reshape(3, 4, 4), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize('mode', MODES)
def test_only_the_official_mode_mixes_the_images_of_a_batch(mode):
    module, f = stage(mode), torch.randn(2, 24, 8)
    with torch.no_grad():
        together, alone = module(f, 0, (4, 6))[:1], module(f[:1], 0, (4, 6))
    mixes = (together - alone).abs().max() > 0.1
    assert mixes == (mode == 'official')


@pytest.mark.parametrize('mode', ['spatial', 'channel'])
def test_coefficients_that_are_always_real_do_not_depend_on_rounding(mode):
    """Their phase is 0 or pi, never -pi."""
    f = torch.randn(2, 24, 8) - 1
    _, phase = polar(f, mode, (4, 6))
    if mode == 'spatial':
        phase = phase.unflatten(1, (4, 4))[:, ::2, ::3]
    else:
        phase = phase[..., ::4]
    torch.testing.assert_close(phase.unique(), torch.tensor([0.0, torch.pi]))


@pytest.mark.parametrize('mode', MODES)
def test_gradients_are_finite_at_zero(mode):
    f = torch.zeros(1, 24, 8, requires_grad=True)
    stage(mode)(f, 0, (4, 6)).sum().backward()
    assert torch.isfinite(f.grad).all()


def test_size_on_vit_large():
    with torch.device('meta'):
        sizes = dict(num_tokens=100, rank=16, query_dims=256, scale_init=0.001)
        module = SETStage(24, 1024, mode='spatial', **sizes)
    assert sum(p.numel() for p in module.parameters()) == pytest.approx(7.55e6, rel=0.001)


def test_mode_is_checked():
    with pytest.raises(UserError, match="mode='batch': expected spatial or channel or official"):
        SET(mode='batch')


@pytest.mark.parametrize('mode', MODES)
def test_a_bfloat16_module_stays_bfloat16_and_near(mode):
    torch.manual_seed(0)
    f = torch.randn(2, 24, 8)
    exact = stage(mode)
    with torch.no_grad():
        exact.scale.fill_(1)
    rough = copy.deepcopy(exact).bfloat16()(f.bfloat16(), 0, (4, 6))
    assert rough.dtype == torch.bfloat16
    exact = exact(f, 0, (4, 6))
    assert (rough.float() - exact).abs().mean() < 0.05 * exact.abs().mean()
