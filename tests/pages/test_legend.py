import numpy as np
import pytest

from rein_seg.pages.legend import legend
from rein_seg.pages.lettering import shortened, text_width
from rein_seg.pages.maps import RIGHT, UNLABELLED, WRONG, error_map
from rein_seg.pages.strips import row

PALETTE = [[250, 10, 20], [10, 250, 20], [20, 10, 250]]


@pytest.mark.parametrize('width', [4000, 972, 320, 60, 33, 17, 8])
def test_every_class_has_its_colour_at_any_width(width):
    picture = legend(['road', 'traffic sign', 'vegetation'], PALETTE, width)
    assert picture.dtype == np.uint8
    assert picture.shape[1:] == (width, 3)
    for colour in PALETTE:
        assert (picture == colour).all(-1).sum() >= 20


def test_names_stand_beside_their_swatches():
    picture = legend(['road', 'car'], PALETTE, 200)
    left, right = picture[:, :100], picture[:, 100:]
    assert (left == PALETTE[0]).all(-1).any()
    assert (right == PALETTE[1]).all(-1).any()
    assert (left[:, 22:] < 128).all(-1).any()  # dark ink of a name
    assert legend(['road', 'car'], PALETTE, 60).shape[0] > picture.shape[0]  # in two rows


@pytest.mark.parametrize('name', ['', 'Straße', 'дорога', '道路', 'طريق', 'a\udcff\n', '🛣️', 'é…'])
def test_names_of_any_script_are_drawn(name):
    assert legend([name, 'b'], PALETTE, 200).shape[1] == 200


def test_many_classes_and_none():
    palette = np.random.default_rng(0).integers(0, 255, (150, 3))
    picture = legend([f'class {i}' for i in range(150)], palette, 972)
    assert 150 / 11 * 20 < picture.shape[0] < 600
    assert legend([], [], 100).shape[1] == 100


def test_long_names_are_cut():
    cut = shortened('a very long name of a class', 80, 13)
    assert cut.startswith('a very') and cut.endswith('…')
    assert text_width(cut, 13) <= 80
    assert shortened('name', 3, 13) == ''


def test_errors_are_marked_and_unlabelled_pixels_are_not():
    drawn = error_map(np.array([[0, 1, 1, 3]]), np.array([[0, 0, 255, 3]]))
    assert drawn[0].tolist() == [list(RIGHT), list(WRONG), list(UNLABELLED), list(RIGHT)]


def test_a_row_keeps_the_order_of_the_channels():
    red = np.full((100, 200, 3), (200, 0, 0), np.uint8)
    assert row('a', [red, red, red])[100, 10].tolist() == [200, 0, 0]
