"""Drawn fields: five bands, classes that infrared or height alone tells apart, repeatability."""

import zlib

import numpy as np
import pytest

from rein_seg.datasets import MiniBandsDataset
from rein_seg.scenes.fields import BANDS, CLASSES, DOMAINS, ensure_cached, render

RED, GREEN, BLUE, NIR, HEIGHT = range(5)


@pytest.fixture(scope='module')
def fields():
    return {domain: [render(domain, 'train', i) for i in range(30)] for domain in DOMAINS}


def values(pictures, name, band):
    index = CLASSES.index(name)
    return np.concatenate([one.image[..., band][one.label == index] for one in pictures]) * 1.0


def test_an_image_is_the_same_in_every_run():
    first = render('summer', 'train', 0)
    assert first.image.shape == (128, 128, 5) and first.image.dtype == np.uint16
    assert len(BANDS) == 5 and first.label.max() < len(CLASSES)
    assert np.array_equal(first.image, render('summer', 'train', 0).image)
    others = [render('summer', 'val', 0), render('summer', 'train', 1), render('haze', 'train', 0)]
    sums = {zlib.crc32(one.image.tobytes()) for one in (first, *others)}
    assert len(sums) == 4


def test_every_class_is_there(fields):
    for pictures in fields.values():
        assert set(np.unique([one.label for one in pictures])) == set(range(len(CLASSES)))


@pytest.mark.parametrize('domain', DOMAINS)
def test_turf_and_water_look_green_and_are_dark_in_the_infrared(fields, domain):
    pictures = fields[domain]
    crop, turf, forest, water = (
        np.median(values(pictures, name, NIR)) for name in ('crop', 'turf', 'forest', 'water')
    )
    assert turf < 0.7 * crop and water < 0.4 * forest


def test_roofs_and_roads_differ_in_height_alone(fields):
    roofs, roads = (
        [np.median(values(fields['summer'], name, band)) for band in range(5)]
        for name in ('building', 'road')
    )
    assert all(abs(a - b) < 0.15 * b for a, b in zip(roofs[:4], roads[:4], strict=True))
    assert roofs[HEIGHT] > 300 > 10 * roads[HEIGHT]


def test_seasons_differ_as_their_names_say(fields):
    def median(domain, name, band):
        return np.median(values(fields[domain], name, band))

    assert median('autumn', 'crop', NIR) < 0.9 * median('summer', 'crop', NIR)
    assert median('drought', 'soil', RED) > 1.05 * median('summer', 'soil', RED)
    assert median('haze', 'water', BLUE) > 1.5 * median('summer', 'water', BLUE)
    assert median('dusk', 'road', GREEN) < 0.7 * median('summer', 'road', GREEN)


def test_files_are_whole_and_drawn_once(tmp_path):
    folder = ensure_cached(tmp_path, 'haze', 'val', 2, size=(48, 32))
    image = folder / 'images/00001.tif'
    drawn = render('haze', 'val', 1, size=(48, 32))
    options = dict(split='val', count=2, size=(48, 32), data_root=str(tmp_path))
    steps = [dict(type='LoadDomainImage'), dict(type='LoadLabels')]
    sample = MiniBandsDataset('haze', pipeline=steps, **options)[1]
    assert np.array_equal(sample['img'], drawn.image)
    assert np.array_equal(sample['gt_seg_map'], drawn.label)
    state = image.stat().st_mtime_ns
    ensure_cached(tmp_path, 'haze', 'val', 2, size=(48, 32))
    assert image.stat().st_mtime_ns == state
    image.write_bytes(image.read_bytes()[:-200] + b'\0' * 200)
    ensure_cached(tmp_path, 'haze', 'val', 2, size=(48, 32))
    again = MiniBandsDataset('haze', pipeline=steps, **options)[1]
    assert np.array_equal(again['img'], drawn.image)
