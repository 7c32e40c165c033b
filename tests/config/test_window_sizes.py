"""The size that the network sees in a test with windows."""

import pytest

from rein_seg.config.image_sizes import window_sizes
from rein_seg.errors import UserError

SIZES = {(40, 70): 'a.png', (48, 64): 'b.png'}


def test_windows_of_a_size_that_some_image_has_room_for():
    assert window_sizes(SIZES, dict(mode='whole'), 'd') == SIZES
    assert window_sizes(SIZES, dict(mode='slide', crop_size=(48, 48)), 'd') == {(48, 48): 'a.png'}
    with pytest.raises(UserError, match=r'\(64, 64\) is larger than the image \(48, 70\)'):
        window_sizes(SIZES, dict(mode='slide', crop_size=(64, 64)), 'd')


def test_fitted_windows_may_be_larger_than_the_images():
    assert window_sizes(SIZES, dict(mode='fit_slide', crop_size=(64, 64)), 'd') == {
        (64, 64): 'a.png'
    }
