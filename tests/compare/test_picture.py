"""The picture of a comparison: what stands in it, and that it is a PNG."""

import cv2
import numpy as np

from rein_seg.compare import Run, build_comparison
from rein_seg.compare.picture import _rows, picture
from tests.compare.made import make_results, make_run


def comparison(*runs):
    made = [make_run(name, seed, results) for name, seed, results in runs]
    return build_comparison([*made, Run('Waiting', 0)])


def test_the_best_on_the_targets_is_on_top_and_unfinished_variants_are_left_out():
    made = comparison(
        ('Full', 0, make_results(night=2.0)),
        ('Rein', 0, make_results(night=30.0)),
        ('Rein', 1, make_results(night=34.0)),
    )
    rows = _rows(made, 'mIoU')
    assert [label for label, *_ in rows] == ['Rein (1k)', 'Full (1k)']
    assert rows[0][2]['mean'] == 22.0 and rows[1][1]['mean'] == 20.0
    image = cv2.imdecode(np.frombuffer(picture(made), np.uint8), cv2.IMREAD_COLOR)
    assert image.shape[1] > 800 and image.std() > 5


def test_the_picture_of_equal_results_is_equal():
    made = comparison(('Full', 0, make_results()))
    assert picture(made) == picture(made)


def test_nothing_finished_is_an_empty_picture():
    assert picture(comparison()).startswith(b'\x89PNG')
