"""Brightness and contrast of bands, in units of their statistics."""

import numpy as np
import pytest

from rein_seg.datasets import BandDistortion
from rein_seg.datasets.sampling.stream import seed_everything
from rein_seg.errors import UserError

BANDS = dict(names=['a', 'b'], mean=[100, 1], std=[10, 0.5])


def test_each_band_stays_within_its_own_statistics():
    image = np.dstack([np.full((4, 4), 100), np.full((4, 4), 1)]).astype(np.float32)
    step = BandDistortion(prob=1.0)
    seed_everything(0)
    drawn = np.array([step(dict(img=image, bands=BANDS))['img'][0, 0] for _ in range(200)])
    shift = np.abs(drawn - [100, 1]) / [10, 0.5]
    assert shift.max() <= 0.2 + 1e-4 and (shift.max(0) > 0.18).all()
    assert drawn.dtype == np.float32


def test_contrast_turns_about_the_mean_and_nothing_happens_without_luck():
    image = np.float32([[[110, 1.5]]])
    seed_everything(0)
    stretched = BandDistortion(0.0, (2.0, 2.0), prob=1.0)(dict(img=image, bands=BANDS))['img']
    assert np.allclose(stretched, [[[120, 2.0]]])
    assert np.array_equal(BandDistortion(prob=0.0)(dict(img=image, bands=BANDS))['img'], image)


def test_images_in_rgb_and_wrong_ranges_are_refused():
    with pytest.raises(UserError, match='FastPhotoMetricDistortion'):
        BandDistortion()(dict(img=np.zeros((2, 2, 3)), img_path='a.png'))
    with pytest.raises(UserError, match='contrast_range'):
        BandDistortion(contrast_range=(2.0, 1.0))
