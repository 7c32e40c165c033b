"""Rare class sampling: counts, probabilities by hand, what is drawn, and the crop around it."""

import os
import pickle
from collections import Counter
from itertools import islice

import cv2
import numpy as np
import pytest
from mmengine.dataset import ConcatDataset, RepeatDataset
from mmseg.registry import DATASETS, TRANSFORMS

import rein_seg.datasets.sampling.class_counts as counting
from rein_seg.datasets import RareClassCrop, RareClassSampler, SeededDataset
from rein_seg.datasets.sampling.class_counts import class_counts, class_frequencies
from rein_seg.datasets.sampling.rare_class import class_probabilities
from rein_seg.engine.runner import PEFTRunner
from rein_seg.errors import UserError

CLASSES = ('road', 'car', 'train')
# pixels of raw ids 7, 26, 31 (road, car, train) in each label of 10 x 20; the rest is void, 0
PIXELS = {'a': (150, 30, 0), 'b': (200, 0, 0), 'c': (100, 40, 10), 'd': (90, 0, 60)}
IDS = {7: 0, 26: 1, 31: 2, 0: 255}
PIPELINE = [dict(type='LoadImageFromFile'), dict(type='LoadLabels'), dict(type='PackDomainInputs')]


def write(root, name, pixels):
    label = np.zeros(200, np.uint8)
    for raw, start, number in zip((7, 26, 31), np.cumsum((0, *pixels)), pixels, strict=False):
        label[start : start + number] = raw
    for folder, array in (('images', np.zeros((10, 20, 3), np.uint8)), ('labels', label)):
        path = root / folder / f'{name}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), array.reshape(10, 20, -1))


def build(root, **options):
    cfg = dict(
        type='DomainDataset', domain='town', data_root=str(root), label_map=IDS,
        metainfo=dict(classes=CLASSES), pipeline=PIPELINE, serialize_data=False,
    )  # fmt: skip
    return DATASETS.build({**cfg, **options})


@pytest.fixture
def root(tmp_path):
    for name, pixels in PIXELS.items():
        write(tmp_path, name, pixels)
    return tmp_path


@pytest.fixture
def read(monkeypatch):
    """The labels that were read to be counted, by name."""
    names = []

    def load(info):
        names.append(os.path.basename(info['seg_map_path']))
        return original(info)

    original = counting.load_classes
    monkeypatch.setattr(counting, 'load_classes', load)
    return names


def test_counts_and_frequencies(root):
    counts = class_counts(build(root))
    assert counts.dtype == np.int64
    assert counts.tolist() == [list(pixels) for pixels in PIXELS.values()]
    # 540 road, 70 car, 70 train of 680 pixels with a class
    assert np.allclose(class_frequencies(counts), [540 / 680, 70 / 680, 70 / 680])


def test_counted_once_and_again_after_a_change(root, read):
    class_counts(build(root))
    assert sorted(read) == ['a.png', 'b.png', 'c.png', 'd.png']
    read.clear()
    class_counts(build(root))
    assert not read
    class_counts(build(root, label_map={**IDS, 31: 255}))
    assert len(read) == 4
    write(root, 'e', (200, 0, 0))
    assert len(class_counts(build(root))) == 5
    assert len(read) == 9
    write(root, 'a', (0, 0, 200))
    assert class_counts(build(root))[0].tolist() == [0, 0, 200]
    kept = list((root / '.rein_seg').iterdir())
    assert len(kept) == 4 and all(path.suffix == '.npz' for path in kept)


def test_damaged_cache_and_other_folder(root, tmp_path, read):
    class_counts(build(root), cache_dir=str(tmp_path / 'kept'))
    assert not (root / '.rein_seg').exists()
    (path,) = (tmp_path / 'kept').iterdir()
    path.write_bytes(path.read_bytes()[:100])
    read.clear()
    assert class_counts(build(root), cache_dir=str(tmp_path / 'kept')).sum() == 680
    assert len(read) == 4


def test_where_nothing_can_be_kept_it_counts(root, read):
    (root / 'file').touch()  # a folder cannot be made below a file
    for _ in range(2):
        assert class_counts(build(root), cache_dir=str(root / 'file')).sum() == 680
    assert len(read) == 8


def test_wrapped_data_sets(root, tmp_path):
    other = tmp_path / 'other'
    write(other, 'z', (0, 0, 200))
    both = ConcatDataset([build(root), build(other, domain='o')])
    assert class_counts(SeededDataset(both)).tolist() == [*map(list, PIXELS.values()), [0, 0, 200]]
    twice = class_counts(RepeatDataset(build(root), times=2))
    assert twice[:4].tolist() == twice[4:].tolist() == [list(p) for p in PIXELS.values()]
    with pytest.raises(UserError, match='classes of a list cannot be counted'):
        class_counts([1])


def test_probabilities_by_hand():
    # exp((1 - f) / T) with f = 0.5, 0.3, 0.2 and T = 0.1: exp(5), exp(7), exp(8)
    weights = np.exp([5.0, 7.0, 8.0])
    assert np.allclose(class_probabilities(np.array([0.5, 0.3, 0.2]), 0.1), weights / weights.sum())
    some = class_probabilities(np.array([0.5, 0.3, 0.2]), 0.1, np.array([True, True, False]))
    assert np.allclose(
        some, [np.exp(5) / np.exp([5, 7]).sum(), np.exp(7) / np.exp([5, 7]).sum(), 0]
    )
    sharp = class_probabilities(np.array([0.9, 0.1]), 0.0001)
    assert np.allclose(sharp, [0, 1])


def take(sampler, number):
    return [(int(i), i.seed, i.rare_class) for i in islice(iter(sampler), number)]


def test_draws_follow_the_probabilities(root):
    sampler = RareClassSampler(build(root), temperature=0.5, min_pixels=30, seed=1)
    assert [images.tolist() for images in sampler.images] == [[0, 1, 2, 3], [0, 2], [3]]
    weights = np.exp((1 - np.array([540, 70, 70]) / 680) / 0.5)
    assert np.allclose(sampler.probabilities, weights / weights.sum())
    drawn = take(sampler, 4000)
    pairs = Counter((rare_class, index) for index, _, rare_class in drawn)
    for rare_class, images in enumerate(sampler.images):
        for index in images:
            expected = sampler.probabilities[rare_class] / len(images)
            assert abs(pairs[rare_class, int(index)] / 4000 - expected) < 0.025
    assert sum(pairs.values()) == 4000 and len(pairs) == 7


def test_classes_without_images_are_not_drawn(root):
    sampler = RareClassSampler(build(root), min_pixels=70, seed=1)
    assert sampler.probabilities.tolist() == [1, 0, 0]
    with pytest.raises(UserError, match=r'min_pixels=3000 .*the most is 200'):
        RareClassSampler(build(root), seed=1)
    with pytest.raises(UserError, match='temperature=0'):
        RareClassSampler(build(root), temperature=0, seed=1)


def test_deterministic_resumed_and_split_over_ranks(root):
    def sampler(rank=0, ranks=1):
        made = RareClassSampler(build(root), min_pixels=10, temperature=0.5, seed=5)
        made.rank, made.world_size = rank, ranks
        return made

    whole = take(sampler(), 40)
    assert take(sampler(), 40) == whole
    assert whole != take(RareClassSampler(build(root), min_pixels=10, temperature=0.5, seed=6), 40)
    resumed = sampler()
    resumed.skip(27)
    assert take(resumed, 13) == whole[27:]
    both = [take(sampler(rank, 2), 20) for rank in range(2)]
    assert [entry for pair in zip(*both, strict=True) for entry in pair] == whole
    later = sampler(1, 2)
    later.skip(7)
    assert take(later, 13) == both[1][7:]


def test_a_loader_brings_the_class_to_the_transforms(root, tmp_path):
    seen = []

    @TRANSFORMS.register_module(name='SeeClass', force=True)
    class SeeClass(dict):
        def __call__(self, results):
            seen.append((results['img_path'][-5], results['rare_class'], np.random.rand()))  # noqa: NPY002
            return results

    leaf = dict(
        type='DomainDataset', domain='town', data_root=str(root), label_map=IDS,
        metainfo=dict(classes=CLASSES),
        pipeline=[*PIPELINE[:2], dict(type='SeeClass'), PIPELINE[2]],
    )  # fmt: skip
    loader = PEFTRunner.build_dataloader(
        dict(
            batch_size=2, num_workers=0, dataset=dict(type='ConcatDataset', datasets=[leaf, leaf]),
            sampler=dict(type='RareClassSampler', min_pixels=10, temperature=0.5, seed=5),
            collate_fn=dict(type='pseudo_collate'),
        )
    )  # fmt: skip
    batches = iter(loader)
    first = [next(batches) for _ in range(4)]
    expected = take(loader.sampler, 8)
    assert [('abcd'[i % 4], c) for i, _, c in expected] == [(n, c) for n, c, _ in seen[:8]]
    assert any(i >= 4 for i, _, _ in expected)
    assert len({draw for _, _, draw in seen[:8]}) == 8
    assert first[0]['data_samples'][0].domain == 'town'


def test_index_survives_pickling(root):
    index = next(iter(RareClassSampler(build(root), min_pixels=10, seed=5)))
    copy = pickle.loads(pickle.dumps(index))
    assert (int(copy), copy.seed, copy.fields) == (int(index), index.seed, index.fields)


def crop(label, rare_class, seed, **options):
    np.random.seed(seed)  # noqa: NPY002  mmseg's crop draws from it
    results = dict(img=label[..., None].repeat(3, 2), gt_seg_map=label, seg_fields=['gt_seg_map'])
    if rare_class is not None:
        results['rare_class'] = rare_class
    return RareClassCrop((10, 10), **options)(results)['gt_seg_map']


def test_crop_finds_the_class():
    label = np.zeros((10, 100), np.uint8)
    label[:, 80:] = 2  # a crop holds 50 pixels of it from column 75 on: 16 of 91 places

    def share(rare_class, **options):
        found = [(crop(label, rare_class, s, **options) == 2).sum() >= 50 for s in range(300)]
        return np.mean(found)

    chance = 16 / 91
    assert abs(share(None) - chance) < 0.06
    assert abs(share(2, min_crop_pixels=50, tries=1) - chance) < 0.06
    assert abs(share(2, min_crop_pixels=50) - (1 - (1 - chance) ** 10)) < 0.06
    # more than the image has: one draw, as without a class
    alike = [np.array_equal(crop(label, 2, s, min_crop_pixels=300), crop(label, None, s))
             for s in range(20)]  # fmt: skip
    assert all(alike)


def test_crop_keeps_the_ratio_rule_and_refuses_nonsense():
    label = np.zeros((10, 100), np.uint8)
    label[:, 40:] = 2
    ratios = [(crop(label, 2, s, min_crop_pixels=20, cat_max_ratio=0.75) == 2).mean()
              for s in range(50)]  # fmt: skip
    assert np.mean([0.2 <= ratio < 0.75 for ratio in ratios]) > 0.5
    with pytest.raises(UserError, match='tries=0'):
        RareClassCrop(10, tries=0)
