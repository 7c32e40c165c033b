"""Colours of classes."""

import numpy as np
import pytest

from rein_seg.errors import UserError
from rein_seg.palettes import distinct_colours, to_lab


def nearest(colours: list[list[int]]) -> float:
    lab = to_lab(np.array([*colours, [0, 0, 0], [255, 255, 255]]))
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    return float(apart[np.triu_indices(len(lab), 1)].min())


@pytest.mark.parametrize(('count', 'least'), [(2, 80), (11, 28), (40, 25), (255, 8)])
def test_colours_are_told_apart_from_each_other_and_from_black(count, least):
    colours = distinct_colours(count)
    assert len({tuple(colour) for colour in colours}) == count
    assert nearest(colours) > least


def test_a_longer_palette_starts_with_the_shorter():
    assert distinct_colours(0) == []
    assert distinct_colours(30)[:11] == distinct_colours(11)
    assert all(isinstance(v, int) and 0 <= v <= 255 for c in distinct_colours(255) for v in c)


def test_to_lab_of_known_colours():
    lab = to_lab(np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0]]))
    assert lab.round(1).tolist()[0][0] == 100.0
    assert np.allclose(lab[1], 0, atol=1e-6)
    assert np.allclose(lab[2], [53.24, 80.09, 67.20], atol=0.05)


def test_more_colours_than_labels_have_classes():
    with pytest.raises(UserError, match='256 colours: expected 0 to 255'):
        distinct_colours(256)
