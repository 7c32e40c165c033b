"""Regions of the classes of a segmentation data set, a sample each."""

import numpy as np
import pytest
from mmseg.registry import DATASETS

from rein_seg.config.region_benchmark import test_steps as steps_of_tests
from rein_seg.datasets import RegionDataset
from rein_seg.datasets.transforms.labels import load_classes
from rein_seg.errors import UserError

SOURCE = dict(type='MiniScapesDataset', domain='clear', split='val', count=3, size=(64, 32))


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return str(tmp_path_factory.mktemp('streets'))


def regions(root, **options):
    return RegionDataset('clear', source=SOURCE, data_root=root, **options)


def test_a_sample_for_each_class_of_a_label(root):
    dataset = regions(root, unseen=['sidewalk', 'sky'])
    source = DATASETS.build({**SOURCE, 'data_root': root})
    names = source.metainfo['classes']
    seen = [k for k, name in enumerate(names) if name not in ('sidewalk', 'sky')]
    expected = []
    for i in range(3):
        there = np.unique(load_classes(source.get_data_info(i)))
        expected += [(source.get_data_info(i)['img_path'], k) for k in there if k in seen]
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    assert sorted((one['img_path'], one['region_class']) for one in infos) == sorted(expected)
    assert dataset.classes == tuple(names[k] for k in seen)
    for info, label in zip(infos, dataset.labels(), strict=True):
        assert dataset.classes[label] == names[info['region_class']]


def test_shots_are_samples_of_a_class(root):
    with pytest.raises(UserError, match='shots=5, but the class'):
        regions(root, shots=5).full_init()
    few = RegionDataset('dark', source=BLOBS, data_root=root, shots=2, shot_seed=3)
    assert sorted(few.labels()) == [0, 0, 1, 1]


BLOBS = dict(type='BlobsDataset', domain='dark', split='val', count=4, size=(32, 32))


def test_regions_with_few_pixels_are_left_out(root):
    assert len(RegionDataset('dark', source=BLOBS, data_root=root)) == 8
    source = DATASETS.build({**BLOBS, 'data_root': root})
    blobs = [(load_classes(source.get_data_info(i)) == 1).sum() for i in range(4)]
    kept = RegionDataset('dark', source=BLOBS, data_root=root, min_pixels=int(min(blobs)) + 1)
    assert kept.labels().tolist().count(1) == sum(blobs > min(blobs))


def test_the_picture_of_a_sample(root):
    dataset = RegionDataset('dark', source=BLOBS, data_root=root, pipeline=list(steps_of_tests(16)))
    sample = dataset[1]
    assert sample['inputs'].shape == (3, 16, 16) and sample['data_samples'].gt_label.item() == 1
    # the mean colour somewhere in the blob's box, in BGR
    colour = np.array([104.09373615, 116.7460125, 122.7709383], np.float32)[:, None, None]
    outside = (sample['inputs'].numpy() == colour).all(0)
    assert 0 < outside.sum() < 16 * 16


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (dict(source=dict(type='ImageFolderDataset', domain='a')), 'is no segmentation data set'),
        (dict(source=BLOBS, unseen=['sea']), "unseen names 'sea', which is no class"),
        (dict(source=BLOBS, unseen=['background', 'blob']), 'names all 2 classes'),
    ],
)
def test_what_is_no_source(root, options, said):
    with pytest.raises(UserError, match=said):
        RegionDataset('dark', data_root=root, **options).full_init()
