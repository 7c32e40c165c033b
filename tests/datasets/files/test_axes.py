"""The order of axes is stated by the file or by a word, never guessed."""

import numpy as np
import pytest

from rein_seg.bands import Bands
from rein_seg.datasets.files.axes import bands_last, page_axes
from rein_seg.errors import UserError

FIVE = ('a', 'b', 'c', 'd', 'e')


@pytest.mark.parametrize('axes', ['HWC', 'CHW'])
def test_a_stated_order_is_kept_even_where_all_sides_are_equal(axes):
    array = np.arange(125).reshape(5, 5, 5)
    image = bands_last(array, Bands(FIVE, axes=axes), 'a.npy', what='array')
    assert np.array_equal(image, array if axes == 'HWC' else array.transpose(1, 2, 0))


def test_without_a_word_the_message_names_it():
    with pytest.raises(UserError, match='set axes: CHW .* axes: HWC'):
        bands_last(np.zeros((5, 4, 6)), Bands(FIVE), 'a.npy', what='array')
    with pytest.raises(UserError, match='has 6 bands, read as axes=HWC: expected 5 bands'):
        bands_last(np.zeros((5, 4, 6)), Bands(FIVE, axes='HWC'), 'a.npy', what='array')
    with pytest.raises(UserError, match=r'shape \(4, 6\): expected'):
        bands_last(np.zeros((4, 6)), Bands(FIVE), 'a.npy', what='array')
    assert bands_last(np.zeros((4, 6)), Bands(('nir',)), 'a.npy', what='array').shape == (4, 6, 1)


def test_pages_of_a_tiff_are_bands_unless_two_readings_fit():
    assert page_axes(5, (4, 6), Bands(FIVE), 'a.tif') == 'CHW'
    assert page_axes(64, (80, 5), Bands(FIVE, axes='HWC'), 'a.tif') == 'HWC'
    for pages, size in ((5, (5, 5)), (64, (80, 5))):
        with pytest.raises(UserError, match='set axes: CHW'):
            page_axes(pages, size, Bands(FIVE), 'a.tif')
    with pytest.raises(UserError, match='has 3 bands or pages'):
        page_axes(3, (4, 6), Bands(FIVE), 'a.tif')
    with pytest.raises(UserError, match='has 6 bands, read as axes=HWC'):
        page_axes(5, (4, 6), Bands(FIVE, axes='HWC'), 'a.tif')
