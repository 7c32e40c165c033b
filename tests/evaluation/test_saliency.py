import numpy as np
import pytest

from rein_seg.evaluation.binary_scores import balanced_error, image_scores, overlap
from rein_seg.evaluation.saliency import (
    absolute_error,
    e_adaptive,
    e_curve,
    s_measure,
    stretch,
    weighted_f,
)

HALF = np.array([[1, 1, 0, 0]] * 4, bool)


def test_stretch_reaches_0_and_1_over_what_counts():
    scores = np.array([[0.25, 0.5], [0.75, 0.0]])
    valid = np.array([[True, True], [True, False]])
    assert stretch(scores, valid).tolist() == [[0, 0.5], [1, 0]]
    assert stretch(scores[:1] * 0 + 0.5).tolist() == [[0.5, 0.5]]  # flat: as it is


def test_object_similarity_by_hand():
    # foreground an even 0.5: 2 * 0.5 / (0.25 + 1); background exact: 1; half of the pixels each
    assert s_measure(HALF * 0.5, HALF, alpha=1) == pytest.approx((0.8 + 1) / 2)
    # foreground 0 and 1 in equal parts, 8 pixels: mean 0.5, variance 2 / 7
    uneven = HALF * np.array([[1.0], [0.0], [1.0], [0.0]])
    expected = (1 / (1.25 + np.sqrt(2 / 7)) + 1) / 2
    assert s_measure(uneven, HALF, alpha=1) == pytest.approx(expected)


def test_region_similarity_by_hand():
    checkers = np.indices((5, 5)).sum(0) % 2 == 0
    # in each quadrant half the truth: (2 * 0.5 / (0.25 + 1)) squared
    assert s_measure(checkers * 0.5, checkers, alpha=0) == pytest.approx(0.64)
    # of 4 x 4 the lower right quadrant is one pixel, which has no spread: alike
    less = checkers[:4, :4]
    assert s_measure(less * 0.5, less, alpha=0) == pytest.approx((15 * 0.64 + 1) / 16)
    assert s_measure(HALF * 1.0, HALF, alpha=0) == pytest.approx(1)


@pytest.mark.parametrize('where', [(slice(None), -1), (-1, slice(None)), (-1, -1)])
def test_a_foreground_at_the_last_row_or_column_has_an_s_measure(where):
    gt = np.zeros((5, 6), bool)
    gt[where] = True
    assert s_measure(gt * 1.0, gt) == pytest.approx(1)
    assert 0 <= s_measure(np.full(gt.shape, 0.5), gt) < 1


def test_alignment_by_hand():
    pixels = HALF.size
    # right at every threshold but 0, where all is foreground: align 0, so a quarter
    curve = e_curve(HALF * 1.0, HALF)
    assert curve.shape == (256,)
    np.testing.assert_allclose(curve[1:], pixels / (pixels - 1))
    assert curve[0] == pytest.approx(pixels / 4 / (pixels - 1))
    assert e_curve(~HALF * 1.0, HALF)[1:] == pytest.approx(0)
    # one of four wrong, a missed one: means 1/4 and 1/2
    gt, pred = np.array([[True, True, False, False]]), np.array([[1.0, 0, 0, 0]])
    alike = [(0.75, 0.5), (-0.25, 0.5), (-0.25, -0.5), (-0.25, -0.5)]
    expected = sum((2 * a * b / (a * a + b * b) + 1) ** 2 / 4 for a, b in alike) / 3
    assert e_curve(pred, gt)[128] == pytest.approx(expected)
    assert e_adaptive(pred, gt) == pytest.approx(expected)  # threshold 2 * 0.25


def test_weighted_f_by_hand():
    gt, pred = np.zeros((15, 15), bool), np.zeros((15, 15))
    gt[7, 4] = True
    assert weighted_f(gt * 1.0, gt) == pytest.approx(1)
    assert weighted_f(pred, gt) == pytest.approx(0)
    # a false alarm at 5 pixels weighs 1.5: precision 1 / 2.5, recall 1
    pred[7, 4] = pred[7, 9] = 1
    assert weighted_f(pred, gt, beta2=1) == pytest.approx(2 * 0.4 / 1.4)
    assert weighted_f(pred, gt) == pytest.approx(1.3 * 0.4 / (1 + 0.3 * 0.4))


def test_a_missed_pixel_counts_less_among_right_ones():
    gt = np.zeros((15, 15), bool)
    gt[4:11, 4:11] = True
    pred = gt * 1.0
    pred[7, 7] = 0
    kernel = np.exp(-((np.arange(7) - 3) ** 2) / 50)
    weight = (kernel / kernel.sum())[3] ** 2
    recall, hits = 1 - weight / 49, 49 - weight
    assert weighted_f(pred, gt, beta2=1) == pytest.approx(2 * recall / (recall + hits / hits))


def test_empty_and_full():
    pred = np.array([[0.0, 0.2], [0.6, 1.0]])
    empty, full = np.zeros((2, 2), bool), np.ones((2, 2), bool)
    assert s_measure(pred, empty) == pytest.approx(1 - 0.45)
    assert s_measure(pred, full) == pytest.approx(0.45)
    assert e_curve(pred, empty)[[0, 128, 255]] * 3 == pytest.approx([0, 2, 3])
    assert e_curve(pred, full)[[0, 128, 255]] * 3 == pytest.approx([4, 2, 1])
    assert weighted_f(pred, empty) == 0
    assert weighted_f(np.ones((2, 2)), full) == pytest.approx(1)
    assert balanced_error(pred, empty) == pytest.approx(0.5)  # the background's alone
    assert balanced_error(pred, full) == pytest.approx(0.5)


def test_balanced_error_is_strict_at_125_of_255():
    gt = np.array([[True, True, False, False, False]])
    scores = np.array([[125.0, 126, 0, 0, 200]]) / 255
    assert balanced_error(scores, gt) == pytest.approx(1 - (1 / 2 + 2 / 3) / 2)


def test_overlap_by_hand():
    assert overlap('IoU', 2, 3, 4) == 2 / 5
    assert overlap('Dice', 2, 3, 4) == 4 / 7
    assert overlap('IoU', 0, 3, 0) == overlap('Dice', 0, 0, 3) == 0
    assert overlap('IoU', 0, 0, 0) == overlap('Dice', 0, 0, 0) == 1  # right: there is nothing


def test_absolute_error_by_hand():
    assert absolute_error(np.array([[0.25, 1.0]]), np.array([[False, True]])) == 0.125


def random_image(seed=0, size=(26, 21)):
    rng = np.random.default_rng(seed)
    gt = np.zeros(size, bool)
    gt[6:15, 3:14] = True
    return np.clip(gt * 0.5 + rng.uniform(0, 0.5, size), 0, 1), gt


def assert_equal_scores(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=0, atol=1e-9, err_msg=name)


def test_a_border_of_ignored_pixels_changes_no_score():
    scores, gt = random_image()
    # an even shift: the centre is rounded to even
    padded = np.pad(scores, ((2, 5), (4, 3)), constant_values=1)
    valid = np.pad(np.ones_like(gt), ((2, 5), (4, 3)))
    expected = image_scores(scores, gt)
    assert_equal_scores(image_scores(padded, np.pad(gt, ((2, 5), (4, 3))), valid), expected)
    everything = np.ones_like(gt)
    assert_equal_scores(image_scores(scores, gt, everything), expected)


def test_what_is_under_an_ignored_pixel_changes_no_score():
    scores, gt = random_image()
    valid = np.ones_like(gt)
    valid[10:13, 8:18] = valid[0, :4] = False  # over the object's edge, and in a corner
    other, truth = scores.copy(), gt.copy()
    other[~valid] = np.random.default_rng(1).uniform(0, 1, (~valid).sum())
    truth[~valid] = ~truth[~valid]
    assert_equal_scores(image_scores(other, truth, valid), image_scores(scores, gt, valid))
