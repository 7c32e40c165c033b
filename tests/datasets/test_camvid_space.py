"""Streets in the 11 classes of CamVid: the map of ids, the layouts, the real files."""

import cv2
import numpy as np
import pytest
from mmseg.registry import DATASETS

from rein_seg.datasets.camvid_space import CAMVID_CLASSES, CAMVID_LABEL_IDS
from rein_seg.datasets.cityscapes_space import CITYSCAPES_CLASSES
from rein_seg.datasets.transforms.labels import load_classes, map_ids
from rein_seg.errors import UserError
from tests.real_streets import CAMVID_IDS, STREETS, needs_streets, scene, write_streets


def build(root, layout, kind='CamVidSpaceDataset', **options):
    return DATASETS.build(
        dict(type=kind, domain='d', layout=layout, data_root=str(root), pipeline=[], **options)
    )


def names(dataset):
    return [info['img_path'].rpartition('/')[2] for info in infos(dataset)]


def infos(dataset):
    return [dataset.get_data_info(i) for i in range(len(dataset))]


def test_each_cityscapes_class_in_11_classes():
    found = {
        name: CAMVID_LABEL_IDS['train'][index] for index, name in enumerate(CITYSCAPES_CLASSES)
    }
    groups = {
        'sky': ['sky'],
        'building': ['building', 'wall'],
        'pole': ['pole'],
        'road': ['road'],
        'pavement': ['sidewalk'],
        'tree': ['vegetation'],
        'sign symbol': ['traffic light', 'traffic sign'],
        'fence': ['fence'],
        'car': ['car', 'truck', 'bus', 'train'],
        'pedestrian': ['person'],
        'bicyclist': ['rider', 'motorcycle', 'bicycle'],
    }
    assert tuple(groups) == CAMVID_CLASSES
    expected = {name: CAMVID_CLASSES.index(to) for to, some in groups.items() for name in some}
    assert found == {**expected, 'terrain': 255}


def test_ids_that_the_19_classes_leave_out():
    label_ids = CAMVID_LABEL_IDS['cityscapes']
    assert CAMVID_CLASSES[label_ids[18]] == 'pole'  # groups of poles
    assert CAMVID_CLASSES[label_ids[29]] == 'car'  # caravans
    ignored = {i for i, index in label_ids.items() if index == 255}
    assert ignored == {0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 22, 30, 34, 255}
    assert CAMVID_LABEL_IDS['mapillary'][55] == CAMVID_CLASSES.index('car')


@pytest.mark.parametrize('official', [False, True])
def test_kitti_in_both_layouts(tmp_path, official):
    write_streets(tmp_path, official=official)
    assert len(build(tmp_path, 'kitti')) == 4
    end = 'png' if official else 'jpg'
    assert names(build(tmp_path, 'kitti', split='train')) == [f'00000{i}_10.{end}' for i in (0, 1)]
    validation = build(tmp_path, 'kitti', split='val')
    assert names(validation) == [f'00015{i}_10.{end}' for i in (0, 1)]
    assert (validation.expected_images, validation.label_ids) == (50, 'cityscapes')
    assert (load_classes(validation.get_data_info(0)) == scene(CAMVID_IDS)).all()


@pytest.mark.parametrize(('layout', 'split'), [('kitti', 'val'), ('bdd_taste', 'train')])
def test_mapped_and_stored_labels_of_11_classes_are_equal(tmp_path, layout, split):
    write_streets(tmp_path)
    mapped = build(tmp_path, layout, split=split)
    stored = build(tmp_path, layout, split=split, label_ids='camvid')
    assert 'labels_camvid11' in stored.get_data_info(0)['seg_map_path']
    for one, other in zip(infos(mapped), infos(stored), strict=True):
        assert (load_classes(one) == load_classes(other)).all()


def test_camvid_has_no_19_classes(tmp_path):
    write_streets(tmp_path)
    dataset = build(tmp_path, 'camvid', split='dusk_val')
    assert (load_classes(dataset.get_data_info(1)) == scene(CAMVID_IDS)).all()
    with pytest.raises(UserError, match="'camvid', which CityscapesSpaceDataset cannot map"):
        build(tmp_path, 'camvid', 'CityscapesSpaceDataset', split='dusk_val')


def test_drawn_streets_in_11_classes(tmp_path):
    options = dict(domain='fog', split='val', count=1, size=(64, 32), data_root=str(tmp_path))
    drawn = DATASETS.build(dict(type='MiniCamVidDataset', pipeline=[], **options))
    info = drawn.get_data_info(0)
    raw = cv2.imread(info['seg_map_path'], cv2.IMREAD_UNCHANGED)
    expected = map_ids(raw, CAMVID_LABEL_IDS['train'], num_classes=11)
    assert (load_classes(info) == expected).all()
    assert 3 in expected[raw == 0]
    assert set(np.unique(expected).tolist()) <= {*range(11), 255}


@needs_streets
@pytest.mark.parametrize(('layout', 'number'), [('kitti', 200), ('bdd_taste', 24)])
def test_every_real_label_maps_to_the_stored_11_classes(layout, number):
    found = 0
    for split in ('train', 'val'):
        mapped = infos(build(STREETS, layout, split=split))
        stored = infos(build(STREETS, layout, split=split, label_ids='camvid'))
        for one, other in zip(mapped, stored, strict=True):
            assert (load_classes(one) == load_classes(other)).all(), one['seg_map_path']
            found += 1
    assert found == number
