"""Pictures of classes for the training of prompts."""

import numpy as np
import pytest

from rein_seg.datasets import CropRegion, FillOutside
from rein_seg.errors import UserError


def sample(rows=(1, 4), columns=(2, 8)):
    label = np.zeros((6, 9), np.uint8)
    label[slice(*rows), slice(*columns)] = 3
    image = np.arange(6 * 9, dtype=np.uint8).reshape(6, 9, 1).repeat(3, 2)
    return dict(img=image, gt_seg_map=label, region_class=3, seg_fields=['gt_seg_map'])


def test_the_box_of_the_class_is_resized():
    result = CropRegion(6)(sample(rows=(0, 6), columns=(2, 8)))
    assert np.array_equal(result['img'], sample()['img'][:, 2:8])
    assert result['region_mask'].all() and result['img_shape'] == (6, 6)
    assert 'gt_seg_map' not in result and result['seg_fields'] == []


def test_mirrored_with_its_mask():
    given = sample(rows=(0, 6), columns=(2, 8))
    given['gt_seg_map'][0, 2:5] = 7
    result = CropRegion(6, flip_prob=1.0)(given)
    assert np.array_equal(result['img'], sample()['img'][:, 2:8][:, ::-1])
    assert result['region_mask'][0].tolist() == [True] * 3 + [False] * 3


def test_random_crops_differ_and_hold_the_class():
    np.random.seed(0)  # noqa: NPY002
    step = CropRegion(16, area=(0.1, 0.5))
    results = []
    for _ in range(20):
        given = sample(rows=(0, 6), columns=(0, 9))
        given['gt_seg_map'][1:, 1:] = 0  # the class is a line along two sides of its box
        results.append(step(given))
    assert all(one['region_mask'].any() for one in results)
    assert len({one['img'].tobytes() for one in results}) > 5


@pytest.mark.parametrize(
    ('after', 'expected'), [(False, [0.0, 0.0, 0.0]), (True, [10 / 255, 20 / 255, 30 / 255])]
)
def test_pixels_outside_after_the_normalisation(after, expected):
    mean, std = np.array([10.0, 20, 30]), np.array([2.0, 4, 8])
    step = FillOutside(mean, std, fill_after_normalisation=after)
    mask = np.array([[True, False]])
    image = step(dict(img=np.full((1, 2, 3), 100, np.uint8), region_mask=mask))['img']
    assert image.dtype == np.float32
    normalised = (image[..., ::-1] - mean) / std  # the preprocessor reads RGB
    assert normalised[0, 0] == pytest.approx((100 - mean) / std)
    assert normalised[0, 1] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (dict(area=(0.0, 1.0)), 'area=.*above 0 and at most 1'),
        (dict(area=(0.5, 2.0)), 'area='),
        (dict(ratio=(2.0, 1.0)), 'ratio=.*smallest and the largest'),
    ],
)
def test_ranges_are_checked(options, said):
    with pytest.raises(UserError, match=said):
        CropRegion(8, **options)


def test_a_label_without_the_class():
    with pytest.raises(UserError, match='no pixel of class 3.*count the classes again'):
        CropRegion(8)({**sample(rows=(0, 0)), 'seg_map_path': 'a.png'})
