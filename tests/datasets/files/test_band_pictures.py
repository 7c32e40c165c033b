"""Bands as pictures for the eye."""

import cv2
import numpy as np

from rein_seg.bands import Bands
from rein_seg.datasets.files.band_pictures import as_rgb, picture_of, shown_bands


def test_bands_named_by_colours_are_shown_in_their_places():
    assert shown_bands(Bands(('nir', 'Blue', 'Green', 'Red'))) == (3, 2, 1)
    assert shown_bands(Bands(('nir', 'swir', 'vv', 'vh'))) == (0, 1, 2)
    assert shown_bands(Bands(('vv', 'vh'))) == (0, 0, 0)
    assert shown_bands(Bands(('red', 'green', 'blue', 'nir'), use=('nir', 'red'))) == (0, 0, 0)


def test_statistics_or_percentiles_set_black_and_white():
    values = np.float32([0, 5, 10]).reshape(1, 3, 1)
    known = Bands(('nir',), mean=(5.0,), std=(2.5,))
    assert as_rgb(values, known)[..., 0].tolist() == [[0, 128, 255]]
    spread = as_rgb(np.arange(1000, dtype=np.uint16).reshape(10, 100, 1), Bands(('nir',)))
    assert spread.min() == 0 and spread.max() == 255 and spread.dtype == np.uint8
    assert as_rgb(np.full((2, 2), np.nan, np.float32), Bands(('nir',))).max() == 0


def test_a_picture_in_colours_is_read_as_before(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (4, 6, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / 'a.png'), image)
    assert np.array_equal(picture_of(str(tmp_path / 'a.png'), {}), image[..., ::-1])
