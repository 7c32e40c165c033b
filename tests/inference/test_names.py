"""Each input has outputs of its own, whatever the inputs are called."""

import itertools

import pytest

from rein_seg.inference.names import output_names, planned
from rein_seg.inference.sources import Source


def source(path, folder='/in'):
    return Source(path, path.removeprefix(folder + '/'), folder)


@pytest.mark.parametrize(
    ('paths', 'names'),
    [
        (['/in/a.jpg', '/in/day/a.jpg'], ['a', 'day/a']),
        (['/in/a.jpg', '/in/a.png', '/in/b.png'], ['a.jpg', 'a.png', 'b']),
        (['/in/day.jpg', '/in/day/a.jpg'], ['day', 'day/a']),
        (['/in/day.mp4', '/in/day/a.jpg'], ['day.mp4', 'day/a']),
        (['/in/day.mp4', '/in/day.jpg'], ['day.mp4', 'day.jpg']),
        (['/in/a.jpg', '/in/a.png/b.jpg'], ['a.jpg', 'a.png/b']),
        (['/in/ä ö.jpg', '/in/a.tar.png'], ['ä ö', 'a.tar']),
    ],
)
def test_names_are_short_where_that_is_clear(paths, names):
    sources = [source(path) for path in paths]
    assert output_names(sources) == names
    assert output_names(sources[::-1]) == names[::-1]


def test_equal_names_of_two_folders_keep_as_many_folders_as_needed():
    sources = [source(f'/data/{cam}/rgb/0.png', f'/data/{cam}/rgb') for cam in ('x', 'y')]
    sources.append(source('/data/x/rgb/1.png', '/data/x/rgb'))
    assert output_names(sources) == ['x/rgb/0.png', 'y/rgb/0.png', '1']


def test_no_output_is_another_output_or_its_folder():
    pieces = ['a', 'a.png', 'a.jpg', 'a.jpg.png', 'a.mp4', 'a.tif']
    paths = [f'/{top}/{name}' for top in ('in', 'in/a', 'in/a.png', 'in/a.jpg') for name in pieces]
    for some in itertools.combinations(paths, 3):
        sources = [source(path) for path in some]
        places = [
            p for s, n in zip(sources, output_names(sources), strict=True) for p in planned(n, s)
        ]
        assert len(set(places)) == len(places), some
        for one, other in itertools.permutations(places, 2):
            assert not other.startswith(f'{one}/'), some
