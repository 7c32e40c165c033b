import os
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest

from rein_seg.scenes.blobs import DOMAINS, SPLITS, render
from rein_seg.scenes.blobs.sheet import draw_sheet
from tests.paths import REPO

COUNT = 40


@pytest.fixture(scope='module')
def pictures():
    return {domain: [render(domain, 'train', i) for i in range(COUNT)] for domain in DOMAINS}


def crc(picture):
    return zlib.crc32(picture.image.tobytes() + picture.label.tobytes())


def test_names_are_those_of_the_benchmark():
    assert DOMAINS == ('tissue', 'pale', 'dark', 'noisy', 'leafy')
    assert SPLITS == ('train', 'val', 'test')


@pytest.mark.parametrize('domain', DOMAINS)
def test_a_picture_has_one_to_three_blobs(pictures, domain):
    for picture in pictures[domain]:
        assert picture.image.shape == (128, 128, 3) and picture.image.dtype == np.uint8
        assert picture.label.shape == (128, 128) and picture.label.dtype == np.uint8
        assert set(np.unique(picture.label).tolist()) == {0, 1}
        assert 0.006 <= picture.label.mean() < 0.55
        # bays and the frame may cut one in two; nothing is speckled
        assert cv2.connectedComponents(picture.label)[0] - 1 <= 5


@pytest.mark.parametrize('domain', DOMAINS)
def test_blobs_come_in_all_sizes_and_places(pictures, domain):
    labels = np.stack([p.label for p in pictures[domain]])
    shares = labels.mean(axis=(1, 2))
    assert 0.05 < shares.mean() < 0.2
    assert shares.max() > 4 * shares.min()
    where = labels.mean(axis=0)
    assert (where[16:-16, 16:-16] > 0).mean() > 0.9  # none keeps to one place


def test_the_same_arguments_give_the_same_picture():
    alone = crc(render('dark', 'test', 5))
    render('leafy', 'train', 1)
    render('dark', 'test', 4, size=(96, 64))
    np.random.seed(0)  # noqa: NPY002 - global state must not matter
    assert crc(render('dark', 'test', 5)) == alone


def test_a_fresh_process_gives_the_same_pictures():
    code = (
        'import sys, zlib\n'
        'from rein_seg.scenes.blobs import DOMAINS, render\n'
        'assert "torch" not in sys.modules and "mmengine" not in sys.modules\n'
        'for domain in DOMAINS:\n'
        '    picture = render(domain, "val", 11, seed=2)\n'
        '    print("crc", zlib.crc32(picture.image.tobytes() + picture.label.tobytes()))\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', code],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=os.environ | {'PYTHONPATH': str(REPO)},
    )
    there = [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith('crc')]
    assert there == [crc(render(domain, 'val', 11, seed=2)) for domain in DOMAINS]


@pytest.mark.parametrize('domain', DOMAINS)
def test_opencv_threads_do_not_matter(domain):
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        serial = crc(render(domain, 'val', 2, size=(256, 256)))
        cv2.setNumThreads(4)
        assert crc(render(domain, 'val', 2, size=(256, 256))) == serial
    finally:
        cv2.setNumThreads(before)


def test_splits_indexes_seeds_and_domains_differ():
    variants = [render('tissue', split, index) for split in SPLITS for index in (0, 1)]
    variants.append(render('tissue', 'train', 0, seed=1))
    variants += [render(domain, 'train', 0) for domain in DOMAINS[1:]]
    assert len({p.label.tobytes() for p in variants}) == len(variants)
    assert len({p.image.tobytes() for p in variants}) == len(variants)


def contrast(picture, colour):
    """Returns how far a blob's mean colour is from the rest's, in the rest's deviations."""
    inside, outside = colour[picture.label == 1], colour[picture.label == 0]
    return (inside.mean(axis=0) - outside.mean(axis=0)) / outside.std(axis=0)


def fine(picture):
    """Returns (H, W) strength of what is finer than four pixels."""
    grey = cv2.cvtColor(picture.image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    return np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 2.0))


def test_colour_does_not_give_blobs_away(pictures):
    lab = [cv2.cvtColor(p.image, cv2.COLOR_BGR2LAB).astype(np.float32) for p in pictures['tissue']]
    found = np.stack(
        [contrast(p, colour) for p, colour in zip(pictures['tissue'], lab, strict=True)]
    )
    # darker or lighter, redder or greener: either way, and less than the ground itself varies
    assert (np.abs(found.mean(axis=0)) < 0.5).all()
    assert (np.abs(found).mean(axis=0) < 1.0).all()


def test_no_threshold_of_a_colour_finds_blobs(pictures):
    images = np.stack([cv2.cvtColor(p.image, cv2.COLOR_BGR2HSV) for p in pictures['tissue']])
    labels = np.stack([p.label for p in pictures['tissue']]) == 1
    best = 0.0
    for channel in np.moveaxis(images, -1, 0):
        for level in np.quantile(channel, np.linspace(0.05, 0.95, 19)):
            for mask in (channel > level, channel <= level):
                best = max(best, 2 * (mask & labels).sum() / (mask.sum() + labels.sum()))
    everything = 2 * labels.mean() / (1 + labels.mean())
    assert best < everything + 0.06


def test_texture_does_in_the_source(pictures):
    ratios = [
        fine(p)[p.label == 1].mean() / fine(p)[p.label == 0].mean() for p in pictures['tissue']
    ]
    assert np.median(ratios) > 1.3


def mean(pictures, measure):
    return float(np.mean([measure(p) for p in pictures]))


def test_the_domains_look_as_their_names_say(pictures):
    light = {d: mean(pictures[d], lambda p: p.image.mean()) for d in DOMAINS}
    assert light['dark'] < 0.55 * light['tissue'] and light['pale'] > 1.25 * light['tissue']
    red = {
        d: mean(pictures[d], lambda p: p.image[..., 2].mean() - p.image[..., 1].mean())
        for d in DOMAINS
    }
    assert max(red['leafy'], red['pale']) < 0.5 * red['tissue']
    rough = {d: mean(pictures[d], lambda p: fine(p)[p.label == 0].mean()) for d in DOMAINS}
    assert rough['leafy'] > 1.8 * rough['tissue'] and rough['noisy'] > rough['tissue']


@pytest.mark.parametrize('size', [(256, 128), (96, 160), (33, 47)])
def test_other_sizes_work(size):
    picture = render('leafy', 'train', 1, size=size)
    assert picture.image.shape == (size[1], size[0], 3)
    assert picture.label.shape == (size[1], size[0]) and picture.label.any()


@pytest.mark.parametrize('domain', DOMAINS)
def test_a_larger_size_shows_the_same(domain):
    small, large = render(domain, 'train', 6), render(domain, 'train', 6, size=(256, 256))
    assert (small.label == large.label[::2, ::2]).mean() > 0.96
    half = cv2.resize(large.image, (128, 128), interpolation=cv2.INTER_AREA)
    a, b = (cv2.GaussianBlur(i, (0, 0), 3).astype(np.float32).ravel() for i in (half, small.image))
    assert np.corrcoef(a, b)[0, 1] > 0.9


def test_the_sheet_has_a_row_a_domain():
    sheet = draw_sheet(count=2)
    assert sheet.shape == (len(DOMAINS) * (18 + 131), 2 * 2 * 131, 3)


@pytest.mark.parametrize(
    ('arguments', 'options', 'words'),
    [
        (('tisue', 'train', 0), {}, ['domain', "'tisue'", "did you mean 'tissue'", 'leafy']),
        (('tissue', 'training', 0), {}, ['split', "'training'", "'train'"]),
        (('tissue', 'train', -1), {}, ['index', '-1', '>= 0']),
        (('tissue', 'train', 0), {'seed': -5}, ['seed', '-5', '>= 0']),
        (('tissue', 'train', 0), {'size': (256, 8)}, ['size', '(256, 8)', '32 to 4096']),
    ],
)
def test_bad_arguments_are_named(arguments, options, words):
    with pytest.raises(ValueError) as error:
        render(*arguments, **options)
    for word in words:
        assert word in str(error.value)
