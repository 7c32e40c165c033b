"""Names and indexes of unseen classes, and each mistake in them."""

import pytest

from rein_seg.datasets.unseen import (
    channel_classes,
    channel_metainfo,
    class_indexes,
    seen_classes,
)
from rein_seg.errors import UserError

CLASSES = ('road', 'sky', 'sea', 'bus')


def test_names_and_indexes():
    assert class_indexes(['bus', 'road'], CLASSES, 'x') == (0, 3)
    assert class_indexes([2], CLASSES, 'x') == (2,)
    assert seen_classes((0, 3), 4) == (1, 2)


@pytest.mark.parametrize(
    ('named', 'words'),
    [
        (['busses'], "x names 'busses', which is no class; did you mean 'bus'"),
        ([4], r'x names 4, which is no class: .* an index of 0 to 3'),
        ([-1], 'x names -1, which is no class'),
        ([True], 'x names True, which is no class'),
        (['bus', 3], "names the class 'bus' twice"),
        (CLASSES, 'x names all 4 classes: expected a seen class'),
        ([], r'x=\[\]: expected a list of one or more of the 4'),
        ('bus', "x='bus': expected a list"),
    ],
)
def test_mistakes(named, words):
    with pytest.raises(UserError, match=words):
        class_indexes(named, CLASSES, 'x')


@pytest.mark.parametrize(
    ('benchmark', 'channels'),
    [
        (None, (0, 1, 2, 3)),
        (dict(unseen=['sky', 'bus']), (0, 1, 2, 3)),
        (dict(unseen=['sky', 'bus'], compact=True), (0, 2)),
    ],
)
def test_channels_of_a_model(benchmark, channels):
    assert channel_classes(CLASSES, benchmark) == channels
    meta = dict(classes=CLASSES, palette=None, more=1)
    classes = tuple(CLASSES[i] for i in channels)
    assert channel_metainfo(meta, benchmark) == dict(classes=classes, palette=None, more=1)
