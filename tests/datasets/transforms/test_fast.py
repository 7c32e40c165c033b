"""Bit for bit what mmseg's own transforms make, and as many random numbers drawn."""

import copy

import numpy as np
import pytest
from mmseg.registry import TRANSFORMS

from rein_seg.datasets.sampling.stream import seed_everything


def sample(seed, size=(90, 120), classes=3, dtype=np.uint8):
    rng = np.random.default_rng(seed)
    small = rng.choice([*range(classes), 255], size=(3, 4), p=[0.7, *[0.3 / classes] * classes])
    label = small.repeat(size[0] // 3, 0).repeat(size[1] // 4, 1).astype(dtype)
    image = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    return dict(img=image, gt_seg_map=label, seg_fields=['gt_seg_map'], img_shape=size)


def outcome(cfg, results, seed):
    seed_everything(seed)
    after = TRANSFORMS.build(cfg)(copy.deepcopy(results))
    return after, np.random.random()  # noqa: NPY002


def check(name, results, seeds, **options):
    changed = 0
    for seed in seeds:
        plain, next_of_plain = outcome(dict(type=name, **options), results, seed)
        fast, next_of_fast = outcome(dict(type=f'Fast{name}', **options), results, seed)
        assert next_of_fast == next_of_plain
        assert set(fast) == set(plain)
        for key in ('img', 'gt_seg_map'):
            assert fast[key].dtype == plain[key].dtype
            np.testing.assert_array_equal(fast[key], plain[key])
        assert fast['img_shape'] == plain['img_shape']
        changed += plain['img'].shape != results['img'].shape
        changed += not np.array_equal(plain['img'], results['img'])
    return changed


CROPS = {
    'usual': dict(crop_size=(40, 50), cat_max_ratio=0.75),
    'strict': dict(crop_size=(30, 30), cat_max_ratio=0.4),
    'never': dict(crop_size=(20, 20), cat_max_ratio=0.01),
    'anything goes': dict(crop_size=(40, 50)),
    'other ignored': dict(crop_size=(40, 50), cat_max_ratio=0.6, ignore_index=0),
    'none ignored': dict(crop_size=(40, 50), cat_max_ratio=0.6, ignore_index=-1),
    'larger than the image': dict(crop_size=(200, 60), cat_max_ratio=0.75),
}


@pytest.mark.parametrize('name', CROPS)
@pytest.mark.parametrize('dtype', [np.uint8, np.int64])
def test_crop(name, dtype):
    for seed in range(4):
        assert check('RandomCrop', sample(seed, dtype=dtype), range(10), **CROPS[name])


def test_crop_of_one_class_and_of_ignored_pixels_alone():
    for value in (2, 255):
        results = sample(0)
        results['gt_seg_map'][:] = value
        check('RandomCrop', results, range(5), crop_size=(40, 50), cat_max_ratio=0.75)


@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_colours(dtype):
    results = sample(0)
    # every value in every channel, then flipped: a view with negative strides
    ramp = np.arange(256 * 3, dtype=np.uint8).reshape(16, 16, 3)
    for image in (results['img'], ramp, ramp[:, ::-1]):
        results['img'] = image.astype(dtype)
        if dtype == np.float32:
            results['img'] = results['img'] / 255
        assert check('PhotoMetricDistortion', results, range(64)) > 40


def test_colours_with_other_ranges():
    options = dict(
        brightness_delta=90, contrast_range=(0.0, 3.0), saturation_range=(0.0, 4.0), hue_delta=90
    )
    assert check('PhotoMetricDistortion', sample(1), range(64), **options)


def test_the_benchmark_pipeline():
    """Resize, crop, flip, distortion in a row: one stream of random numbers."""
    plain, fast = (
        [
            dict(type='RandomChoiceResize', scales=[45, 60, 90, 180], max_size=400,
                 resize_type='ResizeShortestEdge'),
            dict(type=f'{prefix}RandomCrop', crop_size=(48, 48), cat_max_ratio=0.75),
            dict(type='RandomFlip', prob=0.5),
            dict(type=f'{prefix}PhotoMetricDistortion'),
        ]
        for prefix in ('', 'Fast')
    )  # fmt: skip
    for seed in range(30):
        made = []
        for steps in (plain, fast):
            seed_everything(seed)
            results = sample(seed)
            for step in steps:
                results = TRANSFORMS.build(step)(results)
            made.append(results)
        for key in ('img', 'gt_seg_map'):
            np.testing.assert_array_equal(made[0][key], made[1][key])
