"""CASTformer's neck: where tokens read, what moves them, its sizes."""

import re

import pytest
import torch

from rein_seg.errors import UserError
from rein_seg.necks import CATNeck
from rein_seg.necks.cat.layer import ClassAwareTransformer
from rein_seg.necks.cat.sampling import lattice, sample

SMALL = dict(embed_dims=8, num_heads=2, depth=1, out_size=None)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def read_at_start(size, grid, *, official=False):
    features = torch.randn(1, 3, *size)
    points = lattice(grid, size, official=official, like=features)
    return features, sample(features, points[None])


@pytest.mark.parametrize('size', [(4, 4), (3, 5)])
def test_a_grid_as_fine_as_the_map_reads_the_map_row_by_row(size):
    features, read = read_at_start(size, size)
    assert torch.equal(read.transpose(1, 2).reshape(features.shape), features)


def test_the_official_grid_averages_neighbours_and_fades_out():
    features, read = read_at_start((4, 4), (4, 4), official=True)
    columns_first = read.transpose(1, 2).reshape(features.shape).transpose(2, 3)
    padded = torch.nn.functional.pad(features, (0, 1, 0, 1))
    expected = torch.nn.functional.avg_pool2d(padded, 2, stride=1)
    torch.testing.assert_close(columns_first, expected)


def test_an_offset_gets_its_gradient_from_the_next_reading_alone():
    cat = ClassAwareTransformer(8, (2, 3), num_iters=2, num_heads=2)
    features = torch.randn(1, 8, 5, 7)
    first, second = cat.steps(features)
    assert torch.equal(first.offset, torch.zeros(1, 6, 2)) and second.offset is None
    weight = cat.ps_layers[0].offset_layer.weight
    assert not torch.autograd.grad(first.values.sum(), weight, allow_unused=True)[0]
    moved = torch.autograd.grad(second.values.square().sum(), weight)[0]
    assert moved.abs().min() > 0
    constant = list(cat.steps(torch.ones(1, 8, 50, 70)))[-1].values.square().sum()
    assert torch.autograd.grad(constant, weight)[0].abs().max() < 1e-4


@pytest.mark.parametrize(('official', 'factor'), [(False, 0.5), (True, 1.0)])
def test_a_point_moves_by_the_step_it_was_read_at_officially_by_the_whole_offset(official, factor):
    cat = ClassAwareTransformer(8, (2, 2), num_heads=2, gamma=0.5, official=official)
    torch.nn.init.constant_(cat.ps_layers[0].offset_layer.bias, 0.3)
    first, second, *_ = cat.steps(torch.randn(1, 8, 4, 6))
    torch.testing.assert_close(second.point - first.point, torch.full((1, 4, 2), 0.3 * factor))


@pytest.mark.parametrize('official', [False, True])
def test_maps_keep_their_directions(official):
    """Brightness grows to the right: so does it in the neck's map before anything is learned."""
    neck = CATNeck([8], grids=[(3, 4)], num_iters=1, official=official, **SMALL)
    level = neck.levels[0]
    with torch.no_grad():  # what is left is the reading
        level.proj.weight.copy_(torch.eye(8)[..., None, None])
        for param in [level.proj.bias, *level.cat.parameters(), *level.tem.parameters()]:
            param.zero_()
    ramp = torch.arange(12.0).expand(1, 8, 9, 12)
    (read,) = neck([ramp])
    assert read.shape == (1, 8, 3, 4)
    assert (read[0, 0, 0].diff() == 3).all() and (read[0, 0, :, 1].diff() == 0).all()


def test_any_image_size_has_the_same_grids_and_the_first_map_the_size_of_the_decoder():
    neck = CATNeck([8, 8], grids=(3, 2), **{**SMALL, 'out_size': (6, 5)})
    for side in (4, 9):
        shapes = [x.shape[2:] for x in neck([torch.randn(1, 8, side, 7)] * 2)]
        assert shapes == [(6, 5), (2, 2)]


def test_sizes_of_the_paper():
    neck = CATNeck([64, 256, 512, 1024])

    def count(part):
        return sum(p.numel() for level in neck.levels for p in part(level).parameters())

    parts = {
        'proj': count(lambda level: level.proj),
        'cat': count(lambda level: level.cat),
        'tem.blocks': count(lambda level: level.tem.blocks),
        'tem.pos': sum(level.tem.pos_embed.numel() for level in neck.levels),
    }
    assert parts == {
        'proj': 476_160,
        'cat': 10_531_864,
        'tem.blocks': 37_908_480,
        'tem.pos': 652_288,
    }
    assert neck.out_channels == (256, 256, 256, 256)


@pytest.mark.parametrize(
    ('options', 'told'),
    [
        (dict(grids=(4, 4)), 'CATNeck has 2 grids for 1 maps: choose as many out_indices'),
        (dict(grids=[4], num_heads=3), 'embed_dims=8, num_heads=3: expected a width that the'),
        (dict(grids=[(4, 4, 4)]), '[4, 4, 4] has 3 sides: give n, or (n_h, n_w)'),
    ],
)
def test_wrong_sizes_are_named(options, told):
    with pytest.raises(UserError, match=re.escape(told)):
        CATNeck([8], **{**SMALL, **options})


@pytest.mark.parametrize('official', [False, True])
def test_a_diverged_model_returns_nan(official):
    neck = CATNeck([8], grids=[2], official=official, **SMALL)
    torch.nn.init.constant_(neck.levels[0].cat.ps_layers[0].offset_layer.bias, float('nan'))
    (read,) = neck([torch.randn(1, 8, 4, 4)])
    assert read.isnan().all()
