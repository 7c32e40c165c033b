"""Corrupted images: the same for one name, whatever was drawn before; the library is optional."""

import sys
import types

import cv2
import numpy as np
import pytest
from mmseg.registry import DATASETS

from rein_seg.datasets.transforms.corruptions import CORRUPTIONS, check_corruption, corrupt
from rein_seg.errors import UserError
from tests.datasets.files.by_hand import PREDICTED, check_by_hand, score
from tests.datasets.trees import CITYSCAPES

PIPELINE = [
    dict(type='LoadDomainImage'),
    dict(type='Resize', scale=(64, 32), keep_ratio=True),
    dict(type='LoadLabels'),
    dict(type='PackDomainInputs'),
]
CALLS = []


def fake_corrupt(image, *, corruption_name, severity, seed=None):
    CALLS.append((corruption_name, severity, seed, image.shape))
    # red is first: the library takes RGB
    noise = np.random.randint(0, 9, image.shape[:2])  # noqa: NPY002
    made = image.copy()
    made[..., 0] = noise + severity
    return made


@pytest.fixture
def library(monkeypatch):
    """A stand-in with the library's interface, so that the rest is tested without it."""
    module = types.ModuleType('imagecorruptions')
    module.corrupt = fake_corrupt
    module.corruption_dict = {'glass_blur': lambda x, severity=1, seed=None: x}
    monkeypatch.setitem(sys.modules, 'imagecorruptions', module)
    CALLS.clear()


def build(root, **more):
    known = dict(type='CityscapesSpaceDataset', domain='fog_3', data_root=str(root))
    return DATASETS.build({**known, 'pipeline': PIPELINE, **CITYSCAPES.options, **more})


@pytest.fixture
def tree(tmp_path):
    CITYSCAPES.write(tmp_path, numbers=(1, 2))
    for path in (tmp_path / 'cityscapes').rglob('*.png'):
        size = (64, 128, 3) if 'leftImg8bit' in path.name else (64, 128)
        cv2.imwrite(str(path), np.full(size, 7, np.uint8))
    return tmp_path


def test_the_image_of_the_file_is_corrupted_then_resized(tree, library):
    clean, dataset = build(tree), build(tree, corruption=('fog', 3))
    images = [dataset[i]['inputs'].numpy() for i in range(2)]
    assert CALLS[0] == ('fog', 3, None, (64, 128, 3))
    assert images[0].shape == (3, 32, 64)
    assert (images[0][:2] == 7).all() and (images[0][2] != 7).any()  # BGR: the last is red
    assert (images[0] != images[1]).any()  # by name
    np.testing.assert_array_equal(dataset[1]['inputs'], images[1])
    label = dataset[0]['data_samples'].gt_sem_seg.data
    assert (label == clean[0]['data_samples'].gt_sem_seg.data).all()


def test_one_name_has_one_noise_and_leaves_the_generator_alone(library):
    image = np.full((40, 40, 3), 5, np.uint8)
    made = {}
    for seed in (1, 2):
        np.random.seed(seed)  # noqa: NPY002
        expected = np.random.RandomState(seed).rand()  # noqa: NPY002
        made[seed] = corrupt(image, ('glass_blur', 2), f'/some/{seed}/a.png')
        assert np.random.rand() == expected  # noqa: NPY002
    np.testing.assert_array_equal(made[1], made[2])
    assert (corrupt(image, ('glass_blur', 2), 'b.png') != made[1]).any()
    seeds = {seed for *_, seed, _ in CALLS}
    assert len(seeds) == 2 and all(0 <= seed < 2**31 for seed in seeds)


def test_corrupted_images_have_copies_of_their_own(tree, library):
    options = dict(cache_dir=str(tree / 'copies'))
    clean = build(tree, **options)[0]['inputs']
    for severity in (1, 2):
        for _ in range(2):
            CALLS.clear()
            image = build(tree, corruption=('snow', severity), **options)[0]['inputs']
            assert (image != clean).any()
        assert not CALLS
    assert (build(tree, **options)[0]['inputs'] == clean).all()


@pytest.mark.parametrize(
    ('corruption', 'message'),
    [
        (('fogg', 1), "did you mean 'fog'"),
        (('fog', 6), r'expected \(name, severity 1 to 5\)'),
        (('fog',), 'expected'),
        ((), 'expected'),
    ],
)
def test_what_is_not_known(tree, library, corruption, message):
    with pytest.raises(UserError, match=message):
        build(tree, corruption=corruption)


def test_without_the_library_or_with_the_old_one(tree, library, monkeypatch):
    module = sys.modules['imagecorruptions']
    monkeypatch.setitem(module.corruption_dict, 'glass_blur', lambda x, severity=1: x)
    with pytest.raises(UserError, match=r"does not run with numpy 2.*pip install 'rein-seg\[corr"):
        check_corruption(('fog', 1))
    monkeypatch.setitem(sys.modules, 'imagecorruptions', None)
    with pytest.raises(UserError, match=r"need a library .*pip install 'rein-seg\[corruptions\]'"):
        build(tree, corruption=('fog', 1))


def test_the_loader_of_mmcv_corrupts_too(tree, library):
    theirs = [dict(type='LoadImageFromFile'), *PIPELINE[1:]]
    found = [
        build(tree, corruption=('fog', 1), pipeline=p)[0]['inputs'] for p in (theirs, PIPELINE)
    ]
    assert found[0].equal(found[1])


@pytest.mark.parametrize('name', CORRUPTIONS)
def test_all_of_them_with_the_library(name):
    pytest.importorskip('imagecorruptions')
    image = np.random.default_rng(0).integers(0, 256, (4, 8, 3)).astype(np.uint8)
    image = cv2.resize(image, (96, 48), interpolation=cv2.INTER_CUBIC)
    made = [corrupt(image, (name, severity), 'a.png') for severity in (1, 5, 5)]
    assert made[0].shape == image.shape and made[0].dtype == np.uint8
    np.testing.assert_array_equal(made[1], made[2])
    assert all((one != image).any() for one in made)


def test_iou_by_hand_of_a_corrupted_domain(tmp_path):
    pytest.importorskip('imagecorruptions')
    CITYSCAPES.write(tmp_path, numbers=(1, 2))
    for path in (tmp_path / 'cityscapes').rglob('*.png'):  # the library needs 32 pixels a side
        small = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(path), small.repeat(8, 0).repeat(8, 1))
    predicted = PREDICTED.repeat_interleave(8, 1).repeat_interleave(8, 2)
    pipeline = [PIPELINE[0], *PIPELINE[2:]]
    clean = build(tmp_path, domain='d', pipeline=pipeline)
    dataset = build(tmp_path, domain='d', pipeline=pipeline, corruption=('brightness', 5))
    assert (dataset[0]['inputs'] > clean[0]['inputs']).all()
    check_by_hand(score(dataset, predicted=predicted), 2)
