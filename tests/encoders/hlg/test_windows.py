"""Windows of HLG: members, padding, centres, means."""

import pytest
import torch

from rein_seg.encoders.hlg.windows import Windows

SIZES = [(7, 14), (9, 5), (3, 20)]
KINDS = {
    'plain': lambda size: Windows.of_side(size, 7, dilated=False),
    'dilated': lambda size: Windows.of_side(size, 7, dilated=True),
    'apart': lambda size: Windows.apart(size, 8),
}


def places(size):
    rows, columns = torch.meshgrid(*map(torch.arange, size), indexing='ij')
    return torch.stack((rows, columns), dim=-1)[None].double()


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('kind', KINDS)
def test_join_undoes_cut(kind, size):
    windows, x = KINDS[kind](size), torch.randn(2, *size, 3)
    cut = windows.cut(x)
    members = windows.members[0] * windows.members[1]
    assert cut.shape == (2, windows.count[0] * windows.count[1], members, 3)
    assert torch.equal(windows.join(cut), x)
    real = windows.real()
    assert real.sum() == size[0] * size[1]
    assert not cut[:, ~real].any()


@pytest.mark.parametrize(
    ('kind', 'first'),
    [
        ('plain', [(0, 0), (0, 1), (0, 2)]),
        ('dilated', [(0, 0), (0, 3), (0, 6)]),  # 20 columns, 3 windows
        ('apart', [(0, 0), (0, 8), (0, 16)]),
    ],
)
def test_members_of_the_first_window(kind, first):
    windows = KINDS[kind]((7, 20))
    assert windows.cut(places((7, 20)))[0, 0, :3].tolist() == [[*map(float, p)] for p in first]


@pytest.mark.parametrize('kind', KINDS)
def test_centres_are_mean_places_of_all_members(kind):
    windows = KINDS[kind]((9, 20))
    whole = KINDS[kind](windows.padded)
    means = whole.cut(places(windows.padded))[0].mean(1).unflatten(0, windows.count)
    rows, columns = windows.centres()
    assert means[:, 0, 0].tolist() == rows
    assert means[0, :, 1].tolist() == columns


@pytest.mark.parametrize('kind', KINDS)
def test_means_are_over_the_members_on_the_map(kind):
    windows, x = KINDS[kind]((9, 5)), torch.randn(2, 9, 5, 3, dtype=torch.double)
    means, cut, real = windows.means(x), windows.cut(x), windows.real()
    for window in range(len(real)):
        expected = cut[:, window, real[window]].mean(1).nan_to_num()
        torch.testing.assert_close(means[:, window], expected)
    assert windows.empty.tolist() == [not members.any() for members in real]
    assert windows.empty.any() == (kind == 'apart')  # 8 windows along 5 columns
