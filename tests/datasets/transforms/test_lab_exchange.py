"""Colours of another image: statistics, the choice of the reference, no change of labels."""

import copy
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmseg.registry import TRANSFORMS

from rein_seg.datasets import BinaryFolderDataset, LABExchange, SampleIndex, SeededDataset
from rein_seg.datasets.files.reference_pool import ReferencePool
from rein_seg.datasets.transforms.lab_exchange import exchange, exchange_lab
from rein_seg.errors import UserError


def noise(seed, low=60, high=200, size=(20, 30)):
    return np.random.default_rng(seed).integers(low, high, (*size, 3), np.uint8)


def lab(image):
    return cv2.cvtColor(image, cv2.COLOR_BGR2LAB).reshape(-1, 3).astype(float)


def test_mean_and_deviation_are_the_references():
    image, reference = noise(0, 100, 140), noise(1, 80, 120, size=(9, 7))
    made = exchange_lab(cv2.cvtColor(image, cv2.COLOR_BGR2LAB), cv2.cvtColor(reference, 44))
    np.testing.assert_allclose(made.reshape(-1, 3).mean(0), lab(reference).mean(0))
    np.testing.assert_allclose(made.reshape(-1, 3).std(0), lab(reference).std(0))
    found = lab(exchange(image, reference))
    assert np.abs(found.mean(0) - lab(reference).mean(0)).max() < 1.5


def test_values_outside_are_clipped_or_wrap():
    image = np.zeros((10, 10, 3), np.uint8)
    image[0, 0] = 255  # far from the mean: 10 deviations
    reference = noise(3, 0, 255)
    clipped, wrapped = exchange(image, reference), exchange(image, reference, wrap=True)
    values = exchange_lab(cv2.cvtColor(image, 44), cv2.cvtColor(reference, 44))
    assert values[0, 0, 0] > 255
    assert lab(clipped)[0, 0] > 250
    assert np.abs(lab(clipped)[0] - lab(wrapped)[0]).max() > 20
    np.testing.assert_array_equal(clipped[1:], wrapped[1:])


def test_an_image_of_one_colour_takes_the_mean():
    image, reference = np.full((4, 4, 3), 90, np.uint8), noise(2)
    made = exchange(image, reference)
    assert np.ptp(made.reshape(-1, 3), axis=0).max() == 0
    assert np.abs(lab(made)[0] - lab(reference).mean(0)).max() < 2


@pytest.fixture
def folder(tmp_path):
    """Three images with names of digits, four others, each of one grey."""
    for i, name in enumerate(['1', '2', '3', 'cju1', 'cju2', 'cju3', 'x9']):
        for kind, value in (('images', 20 + 30 * i), ('masks', 255 * (i % 2))):
            path = tmp_path / kind / f'{name}.png'
            path.parent.mkdir(exist_ok=True)
            cv2.imwrite(str(path), np.full((4, 4, 3 if kind == 'images' else 1), value, np.uint8))
    return tmp_path


def build(folder, **options):
    load = [dict(type='LoadDomainImage'), dict(type='LoadLabels')]
    steps = [*load, dict(type='LABExchange', **options)]
    return BinaryFolderDataset('d', data_root=str(folder), pipeline=steps)


def source_of(dataset, sample):
    """The image whose grey a sample took."""
    grey = int(sample['img'][0, 0, 0])
    names = [Path(path).stem for path in dataset.pool.paths]
    return names[round((grey - 20) / 30)]


def drawn(dataset, index, seeds=200):
    seeded = SeededDataset(dataset)
    return Counter(source_of(dataset, seeded[SampleIndex(index, seed)]) for seed in range(seeds))


def test_seven_of_ten_references_have_a_name_of_digits(folder):
    found = drawn(build(folder), 4)  # 4 mod 3 = 1, 4 mod 4 = 0
    assert set(found) == {'2', 'cju1'}
    assert found['2'] / 200 == pytest.approx(0.7, abs=0.08)


def test_the_reference_is_number_i_of_its_pool_but_never_the_image_itself(folder):
    digits, others = build(folder, prob=1.0), build(folder, prob=0.0)
    assert [source_of(digits, digits[i]) for i in range(7)] == ['2', '3', '1', '1', '2', '3', '1']
    # cju1 is number 3: of the others number 3 is x9; x9 is number 6: number 2 is cju3
    found = [source_of(others, others[i]) for i in range(7)]
    assert found == ['cju1', 'cju2', 'cju3', 'x9', 'cju1', 'cju2', 'cju3']


def test_without_names_of_a_kind_all_images_are_one_pool(folder):
    dataset = build(folder, pattern='none', prob=1.0)
    names = ['1', '2', '3', 'cju1', 'cju2', 'cju3', 'x9']
    assert [source_of(dataset, dataset[i]) for i in range(7)] == [*names[1:], '1']
    alone = build(folder, pattern='x9', prob=1.0)  # its only fitting image
    assert source_of(alone, alone[6]) == '1'
    assert source_of(alone, alone[0]) == 'x9'


def test_the_same_seed_gives_the_same_image_and_labels_stay(folder):
    dataset = build(folder)
    seeded, plain = SeededDataset(dataset), build(folder)
    for index in range(7):
        first, second = (seeded[SampleIndex(index, 5)] for _ in range(2))
        np.testing.assert_array_equal(first['img'], second['img'])
        np.testing.assert_array_equal(first['gt_seg_map'], plain[index]['gt_seg_map'])
        assert (first['gt_seg_map'] == index % 2).all()


def test_the_pool_is_of_the_part_that_trains(folder):
    steps = [dict(type='LoadDomainImage'), dict(type='LABExchange')]
    part = BinaryFolderDataset('d', data_root=str(folder), pipeline=steps, part='train', hold_out=2)
    assert [Path(path).stem for path in part.pool.paths] == ['1', '3', 'cju2', 'x9']


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(prob=1.5), 'prob=1.5: expected a probability'),
        (dict(pattern='('), r"pattern='\(' is no regular expression"),
    ],
)
def test_bad_arguments_are_said(options, message):
    with pytest.raises(UserError, match=message):
        LABExchange(**options)


def test_bad_samples_are_said():
    step = TRANSFORMS.build(dict(type='LABExchange'))
    image = noise(0)
    with pytest.raises(UserError, match='knows of none: take a data set of rein_seg'):
        step(dict(img=image, img_path='a.png'))
    alone = dict(img_path='a.png', pool=ReferencePool(lambda: ['a.png']), sample_idx=0)
    with pytest.raises(UserError, match="'a.png' is the only image of its data set"):
        step(dict(img=image, **alone))
    with pytest.raises(UserError, match='is float32, expected uint8'):
        step(dict(img=image.astype(np.float32), **alone))


def test_copies_of_a_sample_share_the_pool(folder):
    """mmseg's RandomMosaic and mmcv's test-time augmentation copy every sample."""
    sample = BinaryFolderDataset('polyps', data_root=str(folder), pipeline=[])[0]
    assert copy.deepcopy(sample)['pool'] is sample['pool']
