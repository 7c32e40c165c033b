"""The description of bands: names, statistics, values without data."""

import pytest

from rein_seg.bands import Bands
from rein_seg.errors import UserError

FIVE = ['red', 'green', 'blue', 'nir', 'height']


def test_used_bands_take_their_own_statistics_in_the_order_of_use():
    bands = Bands.of(dict(names=FIVE, use=['height', 'red'], mean=range(5), std=[1, 2, 3, 4, 5]))
    assert bands.indexes == (4, 0)
    assert (bands.used_mean, bands.used_std) == ((4.0, 0.0), (5.0, 1.0))
    assert Bands.of(dict(names=FIVE)).use == tuple(FIVE)
    assert Bands.of(None) is None and Bands.of(bands) is bands


@pytest.mark.parametrize(
    'wrong, words',
    [
        (dict(names=[]), '0 names'),
        (dict(names=['a', 'a']), "'a' twice"),
        (dict(names=['a', 3]), 'bands has 3'),
        (dict(names=[str(i) for i in range(13)]), 'use has 13 names: expected 1 to 12'),
        (dict(use=['nri']), "did you mean 'nir'"),
        (dict(colour=1), "key 'colour'"),
        (dict(mean=[1, 2], std=[1] * 5), 'mean has 2 numbers for 5 bands'),
        (dict(mean=[1] * 5, std=[1] * 4), 'std has 4 numbers for 5 bands'),
        (dict(mean=[1] * 5, std=[1, 1, 1, 0, 1]), "std of band 'nir' is 0"),
        (dict(mean=[1, float('nan'), 1, 1, 1], std=[1] * 5), "mean of band 'green' is nan"),
        (dict(mean=[1] * 5), 'mean without std'),
        (dict(axes='WHC'), "axes='WHC'"),
        (dict(nodata='none'), "nodata='none'"),
        (dict(value_range=[3, 3]), 'value_range=[3, 3]'),
        (dict(value_range=[3]), 'value_range=[3]'),
    ],
)
def test_a_wrong_description_is_one_line(wrong, words):
    with pytest.raises(UserError) as error:
        Bands.of({'names': FIVE, **wrong})
    assert words in str(error.value) and '\n' not in str(error.value)


def test_a_file_may_have_more_bands_than_a_model_takes():
    names = [f'B{i}' for i in range(13)]
    assert Bands.of(dict(names=names, use=names[:12])).indexes == tuple(range(12))
