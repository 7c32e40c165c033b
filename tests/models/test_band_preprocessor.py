"""Images of bands are normalised by their own statistics."""

import pytest
import torch
from mmseg.structures import SegDataSample

from rein_seg.errors import UserError
from rein_seg.models.band_preprocessor import BandPreProcessor


def make(**options):
    options = {'size_divisor': 1, **options}
    return BandPreProcessor(['a', 'b'], [10, 1], [2, 0.5], **options)


def test_each_band_has_its_own_mean_and_deviation_and_padding_is_the_mean():
    image = torch.tensor([12, 2], dtype=torch.uint8).reshape(2, 1, 1).expand(2, 2, 3)
    sample = SegDataSample(metainfo=dict(img_shape=(2, 3)))
    batch = make(size=(4, 4), size_divisor=None)(dict(inputs=[image], data_samples=[sample]), True)[
        'inputs'
    ]
    assert batch.shape == (1, 2, 4, 4)
    assert batch[0, :, 0, 0].tolist() == [1.0, 2.0] and batch[0, :, 3, 3].tolist() == [0.0, 0.0]


def test_three_bands_keep_their_order_and_others_are_refused_by_name():
    three = BandPreProcessor(['nir', 'r', 'g'], [0] * 3, [1] * 3, size_divisor=1)
    image = torch.arange(3.0).reshape(3, 1, 1)
    assert three(dict(inputs=[image]))['inputs'].flatten().tolist() == [0, 1, 2]
    sample = SegDataSample(metainfo=dict(img_path='five.tif'))
    with pytest.raises(UserError, match="'five.tif' has 5 bands: the model takes 2 bands .a, b."):
        make()(dict(inputs=[torch.zeros(5, 2, 2)], data_samples=[sample]))
    with pytest.raises(UserError, match='2 names, 2 mean and 1 std'):
        BandPreProcessor(['a', 'b'], [0, 0], [1], size_divisor=1)
