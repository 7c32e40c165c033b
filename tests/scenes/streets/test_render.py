import os
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest

from rein_seg.scenes.streets import DOMAINS, SPLITS, render
from tests.paths import REPO

NUM_CLASSES = 19
SKY, ROAD, CAR, PLANT, RIDER = 10, 0, 13, 8, 12


@pytest.fixture(scope='module')
def scenes():
    return {domain: [render(domain, 'train', i) for i in range(30)] for domain in DOMAINS}


def test_names_are_those_of_the_benchmark():
    assert DOMAINS == ('clear', 'overcast', 'night', 'fog', 'rain', 'snow')
    assert SPLITS == ('train', 'val', 'test')


@pytest.mark.parametrize('domain', DOMAINS)
def test_a_scene_is_a_picture_and_valid_labels(scenes, domain):
    for scene in scenes[domain]:
        assert scene.image.shape == (128, 256, 3) and scene.image.dtype == np.uint8
        assert scene.label.shape == (128, 256) and scene.label.dtype == np.uint8
        ids = set(np.unique(scene.label).tolist())
        assert ids <= {*range(NUM_CLASSES), 255}
        assert len(ids - {255}) >= 5


@pytest.mark.parametrize('domain', DOMAINS)
def test_the_ignored_share_is_small_but_not_zero(scenes, domain):
    share = np.mean([np.mean(scene.label == 255) for scene in scenes[domain]])
    assert 0.002 < share < 0.06


def test_every_class_occurs_in_the_source_at_a_useful_size():
    labels = [render('clear', 'train', i).label for i in range(100)]
    counts = np.stack([np.bincount(label.ravel(), minlength=256)[:NUM_CLASSES] for label in labels])
    assert ((counts >= 20).mean(axis=0) >= 0.05).all()
    for train_id in range(NUM_CLASSES):
        seen = counts[counts[:, train_id] > 0, train_id]
        assert np.median(seen) >= 20, train_id


@pytest.mark.parametrize('domain', DOMAINS[1:])
def test_every_class_occurs_in_each_target(domain):
    seen = set()
    for index in range(60):
        seen |= set(np.unique(render(domain, 'val', index).label).tolist())
        if len(seen - {255}) == NUM_CLASSES:
            return
    pytest.fail(f'{domain}: lacks train ids {set(range(NUM_CLASSES)) - seen}')


def test_the_street_lies_below_the_sky(scenes):
    for scene in scenes['clear']:
        rows = np.arange(128)[:, None] * np.ones((1, 256))
        assert (scene.label[-6] == ROAD).any()
        assert rows[scene.label == ROAD].mean() > rows[scene.label == SKY].mean() + 20


def test_near_things_hide_far_ones(scenes):
    # A rider is painted after what stands behind, so no class cuts its middle rows in two.
    label = next(s.label for s in scenes['clear'] if (s.label == RIDER).sum() > 300)
    count, _, stats, _ = cv2.connectedComponentsWithStats((label == RIDER).astype(np.uint8))
    assert stats[1:count, cv2.CC_STAT_AREA].max() > 150


def test_the_same_arguments_give_the_same_scene():
    first, second = (render('rain', 'val', 7, seed=3) for _ in range(2))
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.label, second.label)


def test_what_was_rendered_before_does_not_matter():
    alone = render('snow', 'test', 5)
    render('night', 'train', 1)
    render('snow', 'test', 4, size=(96, 64))
    np.random.seed(0)  # noqa: NPY002 - global state must not matter
    again = render('snow', 'test', 5)
    assert np.array_equal(alone.image, again.image) and np.array_equal(alone.label, again.label)


def test_a_fresh_process_gives_the_same_scenes():
    code = (
        'import sys, zlib\n'
        'from rein_seg.scenes.streets import DOMAINS, render\n'
        'assert "torch" not in sys.modules and "mmengine" not in sys.modules\n'
        'for domain in DOMAINS:\n'
        '    scene = render(domain, "val", 11, seed=2)\n'
        '    print("crc", zlib.crc32(scene.image.tobytes() + scene.label.tobytes()))\n'
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
    scenes = [render(domain, 'val', 11, seed=2) for domain in DOMAINS]
    assert there == [zlib.crc32(s.image.tobytes() + s.label.tobytes()) for s in scenes]


@pytest.mark.parametrize('domain', DOMAINS)
def test_opencv_threads_do_not_matter(domain):
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        serial = render(domain, 'val', 2, size=(512, 256))
        cv2.setNumThreads(4)
        parallel = render(domain, 'val', 2, size=(512, 256))
    finally:
        cv2.setNumThreads(before)
    assert np.array_equal(serial.image, parallel.image)
    assert np.array_equal(serial.label, parallel.label)


def test_splits_indexes_seeds_and_domains_differ():
    variants = [render('clear', split, index) for split in SPLITS for index in (0, 1)]
    variants.append(render('clear', 'train', 0, seed=1))
    variants += [render(domain, 'train', 0) for domain in DOMAINS[1:]]
    assert len({scene.label.tobytes() for scene in variants}) == len(variants)
    assert len({scene.image.tobytes() for scene in variants}) == len(variants)


def _mean(scenes, measure):
    return float(np.mean([measure(scene) for scene in scenes]))


def _saturation(scene):
    return cv2.cvtColor(scene.image, cv2.COLOR_BGR2HSV)[..., 1].mean()


def test_the_domains_look_as_their_names_say(scenes):
    light = {domain: _mean(scenes[domain], lambda s: s.image.mean()) for domain in DOMAINS}
    assert light['night'] < 0.6 * min(light[d] for d in DOMAINS if d != 'night')
    assert light['snow'] > light['rain'] + 20
    colour = {domain: _mean(scenes[domain], _saturation) for domain in DOMAINS}
    assert colour['clear'] > 1.5 * max(colour[d] for d in ('overcast', 'fog', 'rain', 'snow'))
    contrast = {domain: _mean(scenes[domain], lambda s: s.image[40:60].std()) for domain in DOMAINS}
    assert contrast['fog'] < 0.7 * contrast['clear']


def test_the_domains_differ_in_what_stands_in_the_street(scenes):
    plants = {d: _mean(scenes[d], lambda s: (s.label == PLANT).mean()) for d in DOMAINS}
    cars = {d: _mean(scenes[d], lambda s: (s.label == CAR).mean()) for d in DOMAINS}
    assert plants['fog'] > 1.2 * plants['night']
    assert cars['overcast'] > 1.2 * cars['fog']


@pytest.mark.parametrize('size', [(512, 256), (192, 192), (96, 160), (33, 47)])
def test_other_sizes_work(size):
    scene = render('clear', 'train', 1, size=size)
    assert scene.image.shape == (size[1], size[0], 3)
    assert scene.label.shape == (size[1], size[0])
    assert (scene.label == ROAD).mean() > 0.1


def test_a_larger_size_shows_the_same_street():
    small = render('clear', 'train', 6)
    large = render('clear', 'train', 6, size=(512, 256))
    shrunk = large.label[::2, ::2]
    valid = (small.label != 255) & (shrunk != 255)
    assert (small.label == shrunk)[valid].mean() > 0.9


@pytest.mark.parametrize(
    ('arguments', 'options', 'words'),
    [
        (('cleer', 'train', 0), {}, ['domain', "'cleer'", "did you mean 'clear'", 'snow']),
        (('clear', 'training', 0), {}, ['split', "'training'", "'train'"]),
        (('clear', 'train', -1), {}, ['index', '-1', '>= 0']),
        (('clear', 'train', 0), {'seed': -5}, ['seed', '-5', '>= 0']),
        (('clear', 'train', 0), {'size': (256, 8)}, ['size', '(256, 8)', '(256, 128)']),
        (('clear', 'train', 0), {'size': 256}, ['size', '256', 'width']),
        (('clear', 'train', 0), {'size': (256.5, 128)}, ['size', '256.5', 'whole']),
    ],
)
def test_bad_arguments_are_named(arguments, options, words):
    with pytest.raises(ValueError) as error:
        render(*arguments, **options)
    for word in words:
        assert word in str(error.value)
