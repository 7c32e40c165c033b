"""The feature pyramid transformer: branches, positions, order of axes, wrong arguments."""

import pytest
import torch
import torch.nn.functional as F

from rein_seg.errors import UserError
from rein_seg.heads import FPTHead
from rein_seg.structures import Features

ONES = ((1, 1, 1), (1, 1), (1,))


def head(levels=3, **options):
    torch.manual_seed(0)
    options = {'in_index': list(range(levels)), 'num_classes': 3, **options}
    return FPTHead([8] * levels, **options).eval()


def pyramid(levels=3, finest=(8, 12), seed=1):
    generator = torch.Generator().manual_seed(seed)
    sizes = [[side // 2**i for side in finest] for i in range(levels)]
    return [torch.randn(2, 8, *size, generator=generator) for size in sizes]


def test_a_branch_leads_its_level_to_the_finest():
    own, maps = head(), pyramid()
    with torch.no_grad():
        total = 0
        for branch, x in zip(own.branches, maps[::-1], strict=True):
            for index, (block,) in enumerate(branch):
                if index:
                    x = F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False)
                x = block(x.flatten(2).mT, x.shape[2:]).mT.unflatten(2, x.shape[2:])
            total = total + x
        expected = F.conv2d(total, own.conv_seg.weight, own.conv_seg.bias)
        torch.testing.assert_close(own(Features(tuple(maps))), expected)


def test_of_more_maps_the_coarsest_are_read():
    own, maps = head(4), pyramid(4, (16, 24))
    with torch.no_grad():
        before = own(Features(tuple(maps)))
        assert before.shape == (2, 3, 8, 12)
        maps[0] = maps[0] * 2
        assert torch.equal(own(Features(tuple(maps))), before)
        maps[1] = maps[1] * 2
        assert not torch.equal(own(Features(tuple(maps))), before)


def test_four_levels_with_two_blocks_each():
    options = dict(
        num_layers=[[2] * n for n in (4, 3, 2, 1)],
        sra_ratios=[[1, 2, 4, 8], [2, 4, 8], [4, 8], [8]],
        drop_path_rates=[0.7, 0.0, 0.3, 0.1],
        in_index=[-4, -3, -2, -1],
    )
    own = head(4, **options)
    assert own(Features(tuple(pyramid(4, (16, 24))))).shape == (2, 3, 16, 24)
    rates = [[b.drop_path.drop_prob for stage in branch for b in stage] for branch in own.branches]
    assert rates[0] == pytest.approx([i / 10 for i in range(8)])
    assert rates[1:] == [[0.0] * 6, pytest.approx([0, 0.1, 0.2, 0.3]), [0, 0.1]]


def test_default_rates_of_stochastic_depth():
    rates = [[stage[0].drop_path.drop_prob for stage in branch] for branch in head().branches]
    assert rates == [pytest.approx([0, 0.15, 0.3]), [0, 0.2], [0]]


def test_position_maps_are_resized_and_added_first():
    sizes = [(3, 2), (4, 4), (5, 6)]
    own, maps = head(use_ape=True, ape_sizes=sizes), pyramid()
    assert [tuple(p.shape) for p in own.ape_embeds] == [(1, 8, *size) for size in sizes]
    plain = head()
    weights = {k: v for k, v in own.state_dict().items() if not k.startswith('ape')}
    plain.load_state_dict(weights, strict=True)
    placed = [
        x + F.interpolate(p, size=x.shape[2:], mode='bilinear')
        for x, p in zip(maps, list(own.ape_embeds)[::-1], strict=True)
    ]
    with torch.no_grad():
        a, b = own(Features(tuple(maps))), plain(Features(tuple(placed)))
        torch.testing.assert_close(a, b)
        assert not torch.allclose(a, plain(Features(tuple(maps))))


def test_official_axes_transpose_the_map_of_every_stage():
    maps = pyramid(1, (6, 6))
    options = dict(num_layers=[[1]], sra_ratios=[[2]], drop_path_rates=[0.0], ape_sizes=[(6, 6)])
    with torch.no_grad():
        intent = head(1, **options)(Features(tuple(maps)))
        official = head(1, **options, axis_order='official')(Features(tuple(maps)))
    torch.testing.assert_close(official, intent.mT)
    with pytest.raises(UserError, match=r'"official" got maps of 8 x 12.*square'):
        head(axis_order='official')(Features(tuple(pyramid())))


@pytest.mark.parametrize(
    ('sizes', 'message'),
    [
        (((9, 13), (4, 6), (2, 3)), r'sizes 9 x 13, 4 x 6, 2 x 3: .* such as 8 x 12, 4 x 6, 2 x 3'),
        (((8, 8), (8, 8), (8, 8)), 'sizes 8 x 8, 8 x 8, 8 x 8: .* such as 32 x 32, 16 x 16, 8 x 8'),
        (((4, 8), (2, 4), (1, 2)), 'a map of 1 x 2, smaller than the 2 x 2 kernel'),
    ],
)
def test_maps_that_do_not_fit(sizes, message):
    with pytest.raises(UserError, match=message):
        head()(Features(tuple(torch.randn(1, 8, *size) for size in sizes)))


def test_a_small_map_fits_a_smaller_kernel():
    own = head(sra_ratios=((1, 2, 2), (2, 2), (2,)))
    assert own(Features(tuple(pyramid(finest=(4, 8))))).shape == (2, 3, 4, 8)
    assert not any(name.startswith('branches.0.0.0.attn.sr') for name in own.state_dict())


@pytest.mark.parametrize(
    ('channels', 'options', 'message'),
    [
        ([8], {}, r'reads 3 maps of a pyramid, and got in_index=\[0\].*out_indices.*TokenPyramid'),
        ([8, 8], {}, r'got in_index=\[0, 1\] with channels \[8, 8\]'),
        ([8, 16, 32], {}, r'maps with \[8, 16, 32\] channels: .*"FPN"'),
        ([6] * 3, {}, 'num_heads=4 and maps with 6 channels'),
        ([8] * 3, dict(num_layers=(1, 1, 1)), r'num_layers=\(1, 1, 1\): .*\(\(1, 1, 1\), \(1, 1\)'),
        ([8] * 3, dict(num_layers=((1, 1, 1), (1, 1), (1))), 'num_layers=.*the last has one'),
        ([8] * 3, dict(sra_ratios=((2, 2), (2, 2), (2,))), 'sra_ratios=.*whole number for each'),
        ([8] * 3, dict(drop_path_rates=0.1), 'drop_path_rates=0.1: expected a list of 3'),
        ([8] * 3, dict(use_ape=True, ape_sizes=[(4, 4)]), 'ape_sizes=.*one for each branch'),
        ([8] * 3, dict(axis_order='swapped'), "axis_order='swapped': expected intent or official"),
    ],
)
def test_wrong_arguments(channels, options, message):
    with pytest.raises(UserError, match=message):
        FPTHead(channels, in_index=list(range(len(channels))), num_classes=3, **options)


def test_loss_of_ignored_labels_is_zero():
    labels = torch.full((2, 64, 96), 255)
    losses = head().loss(Features(tuple(pyramid())), labels)
    assert losses['loss_ce'] == 0
    one = head(
        num_classes=2, out_channels=1, loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)
    )
    assert (one.sigmoid, one.threshold) == (True, 0.5)
